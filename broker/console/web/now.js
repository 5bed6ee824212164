// now - what runs, counters that move, the last events; and the inbox, read only.
import { el, get, t, clock, link } from './app.js'

let timer, paused, was

// [systems that send] -> Vayla -> [systems that get]: width by what flows.
function flow (s) {
  const ins = s.systems.filter(x => !x.takes)
  const outs = s.systems.filter(x => x.takes)
  const rows = Math.max(ins.length, outs.length, 1)
  const h = rows * 44 + 16
  const box = (x, y, name, note, bad) => [
    el('rect', { x, y, width: 150, height: 34, rx: 5, class: bad ? 'box bad' : 'box' }),
    el('text', { x: x + 10, y: y + 15, class: 'boxname' }, name),
    el('text', { x: x + 10, y: y + 28, class: 'boxnote' }, note)]
  const line = (x1, y1, x2, y2) => el('path', {
    d: `M${x1} ${y1} C${(x1 + x2) / 2} ${y1} ${(x1 + x2) / 2} ${y2} ${x2} ${y2}`, class: 'edge'
  })
  const svg = el('svg', { viewBox: `0 0 600 ${h}`, role: 'img', 'aria-label': t('flow') })
  const mid = h / 2 - 17
  ins.forEach((x, i) => svg.append(line(150, i * 44 + 25, 225, mid + 17),
    ...box(0, i * 44 + 8, x.name, x.pack, false)))
  outs.forEach((x, i) => svg.append(line(375, mid + 17, 450, i * 44 + 25),
    ...box(450, i * 44 + 8, x.name, `${x.pack} · ${t(x.mode)}${x.open ? ` · ${x.open} ${t('open')}` : ''}`, !x.up)))
  svg.append(...box(225, mid, 'Vayla', `${s.counts.events} ${t('events')}`, false))
  return svg
}

function counter (name, value, rate, bad) {
  return el('div', { class: bad ? 'counter bad' : 'counter', id: 'count-' + name },
    el('b', {}, String(value)), el('span', {}, t(name)), el('i', {}, rate > 0 ? `${rate.toFixed(rate < 10 ? 1 : 0)}/s` : ''))
}

// What the broker says, in the shape this screen draws.
function shape (s) {
  const up = new Set((s.sessions ?? []).map(x => x.name))
  return {
    counts: s.counts,
    systems: (s.systems ?? []).map(x => ({
      name: x.name,
      pack: x.pack,
      mode: x.mode,
      takes: x.takes ?? x.sub?.open !== undefined,
      open: x.sub?.open ?? 0,
      up: up.has(x.name) || !(x.takes ?? x.sub?.open !== undefined)
    }))
  }
}

async function draw (main, parts) {
  const [status, events] = await Promise.all([get('/'), get('/events?n=30')])
  const s = shape(status)
  const c = s.counts
  const at = performance.now()
  const rate = k => was ? (c[k] - was.c[k]) / ((at - was.at) / 1000) : 0
  parts.flow.replaceChildren(flow(s))
  parts.counts.replaceChildren(
    counter('events', c.events, rate('events')),
    counter('settled', c.settled, rate('settled')),
    counter('ready', c.ready, 0),
    counter('retry', c.retry, 0, c.retry > 0),
    counter('wait', c.wait, 0),
    counter('ask', c.ask, 0, c.ask > 0),
    counter('parked', c.parked, 0, c.parked > 0),
    counter('duplicates', c.duplicates, 0))
  was = { c, at }
  parts.rows.replaceChildren(...events.map(e => el('tr', {},
    el('td', { class: 'n' }, String(e.seq)), el('td', {}, clock(e.at)), el('td', {}, e.type),
    el('td', {}, link(e.subject)), el('td', {}, e.source + (e.target ? ' → ' + e.target : '')))))
}

const table = (heads, rows) => el('div', { class: 'wide' }, el('table', {},
  el('thead', {}, el('tr', {}, ...heads.map(h => el('th', { scope: 'col' }, t(h))))), rows))

export const now = {
  show (main) {
    const parts = { flow: el('div', { class: 'flow' }), counts: el('div', { class: 'counts', 'aria-live': 'off' }), rows: el('tbody', { id: 'events' }) }
    paused = false
    was = undefined
    const button = el('button', { type: 'button', id: 'pause', onclick: () => { paused = !paused; button.textContent = t(paused ? 'go' : 'pause') } }, t('pause'))
    main.append(el('h1', {}, t('now')), parts.flow, parts.counts,
      el('h2', {}, t('last'), ' ', button), table(['seq', 'time', 'type', 'subject', 'source'], parts.rows))
    const tick = async () => {
      if (!paused && !document.hidden) await draw(main, parts).catch(() => {})
      timer = setTimeout(tick, 1000)
    }
    tick()
  },
  stop () { clearTimeout(timer) }
}

export const inbox = {
  async show (main) {
    main.append(el('h1', {}, t('inbox')))
    let items
    try {
      items = await get('/inbox?n=500')
    } catch (e) {
      main.append(el('p', { class: 'bad' }, e.message))
      return
    }
    items = items.filter(i => !['ready', 'behind'].includes(i.state))
    if (items.length === 0) main.append(el('p', {}, t('none')))
    for (const i of items) {
      main.append(el('article', { class: 'item' },
        el('h2', {}, el('span', { class: 'state ' + i.state }, i.state), ' ', link(i.subject), ' ', el('small', {}, `${i.sub} · ${i.seq}`)),
        el('p', {}, i.text ?? ''), el('p', { class: 'dim' }, [i.path, i.where].filter(Boolean).join(' · '))))
    }
  }
}
