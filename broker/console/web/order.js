// order - one order: its names, its money, what is open, and every record about
// it in the order of the journal.
import { el, get, t, clock, link } from './app.js'

// A value as text people can read, decimals with their digits.
function value (v, depth = 0) {
  if (v === null || typeof v !== 'object') return el('span', { class: v === '(sealed)' ? 'dim' : 'v' }, String(v))
  const entries = Object.entries(v)
  if (entries.length === 0) return el('span', { class: 'dim' }, Array.isArray(v) ? '[]' : '{}')
  const dl = el('dl', {}, ...entries.flatMap(([k, x]) => [el('dt', {}, Array.isArray(v) ? String(Number(k) + 1) : k), el('dd', {}, value(x, depth + 1))]))
  return depth === 1 && entries.length > 4 ? el('details', {}, el('summary', {}, `${entries.length}`), dl) : dl
}

function record (r) {
  const head = el('div', { class: 'head' }, el('span', { class: 'n' }, String(r.seq)), el('time', { datetime: r.at }, clock(r.at)))
  if (r.kind === 'event') {
    head.append(el('b', {}, r.type), el('span', { class: 'dim' },
      r.source + (r.target ? ' → ' + r.target : '') + (r.revision > 1 ? ` · revision ${r.revision}` : '') +
      (r.cause ? ` · from ${r.cause}` : '') + (r.withdrawn ? ' · withdrawn' : '') + (r.erased ? ' · erased' : '')))
    const body = el('details', {}, el('summary', {}, r.map ?? r.id), r.data !== undefined ? value(r.data) : '')
    return el('li', { class: 'event ' + (r.target ? 'request' : r.cause ? 'canonical' : 'native') }, head, body)
  }
  const e = r.effect
  head.append(el('b', { class: 'state ' + (r.verdict ?? '') }, r.verdict ?? r.act ?? r.kind),
    el('span', { class: 'dim' }, [r.sub, r.of && `of ${r.of}`, r.by, e?.remote, e?.status && `status ${e.status}`, e?.ms !== undefined && `${e.ms} ms`, r.attempt > 1 && `attempt ${r.attempt}`].filter(Boolean).join(' · ')))
  return el('li', { class: r.kind }, head, r.text ? el('p', {}, r.text) : '', r.reason ? el('p', {}, r.reason) : '')
}

function money (m) {
  const row = (k, sign) => el('tr', {}, el('th', { scope: 'row' }, t(k)), el('td', { class: 'n' }, sign + m[k]), el('td', {}, m.currency))
  return el('table', { class: 'money', id: 'money' }, el('caption', {}, t('money')), el('tbody', {},
    row('ordered', ''), row('credited', '−'), row('captured', '−'), row('refunded', '+'),
    el('tr', { class: 'sum' }, el('th', { scope: 'row' }, t('stillopen')), el('td', { class: 'n' }, m.open), el('td', {}, m.currency))),
  el('tfoot', {}, el('tr', {}, el('td', { colspan: 3 }, m.reason))))
}

async function draw (main, word, unmask) {
  const o = await get('/order/' + encodeURIComponent(word) + (unmask ? '?unmask=1' : ''))
  main.replaceChildren()
  if (o.subjects) {
    main.append(el('h1', {}, word), el('p', {}, t('choose')), el('ul', {}, ...o.subjects.map(s => el('li', {}, link(s)))))
    return
  }
  main.append(el('h1', {}, o.subject),
    el('button', { type: 'button', id: 'unmask', onclick: () => draw(main, word, !unmask) }, t(unmask ? 'mask' : 'unmask')))
  if (o.refs.length) main.append(el('p', { class: 'dim' }, t('names') + ': ' + o.refs.join(', ')))
  if (o.money) main.append(money(o.money))
  for (const i of o.open) {
    main.append(el('p', { class: 'item' }, el('span', { class: 'state ' + i.state }, t(i.state)), ` ${i.sub}: ${i.text ?? ''}`))
  }
  main.append(el('ol', { class: 'timeline', id: 'timeline' }, ...o.records.map(record)))
}

export const order = {
  show (main, word) {
    document.getElementById('word').value = word
    draw(main, word, false).catch(e => main.replaceChildren(el('h1', {}, word), el('p', { class: 'bad' }, e.message)))
  }
}
