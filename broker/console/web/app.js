// app - the shell: which screen a URL shows, words in two languages, fetching.
//
// A screen is {path, show(main, word), stop()}. Every URL is a deep link; the
// same URL with Accept: application/json is what the screen fetches.
import { now, inbox } from './now.js'
import { order } from './order.js'

const words = {
  en: {
    now: 'Now', inbox: 'Inbox', show: 'Show', find: 'Order, payment, shop or tracking number',
    systems: 'Systems', last: 'Last events', running: 'running', away: 'away', observe: 'observing',
    live: 'live', paused: 'paused', events: 'events', settled: 'delivered', open: 'open', retry: 'again later',
    wait: 'waiting', ask: 'questions', parked: 'parked', duplicates: 'known already', pause: 'Pause', go: 'Go on',
    seq: 'No', time: 'Time', type: 'Type', subject: 'Subject', source: 'From', nothing: 'Nothing here.',
    money: 'Money', ordered: 'ordered', credited: 'credited', captured: 'captured', refunded: 'refunded',
    stillopen: 'still open', unmask: 'Show personal data', mask: 'Hide personal data', names: 'Also known as', choose: 'Several match:',
    lost: 'The broker does not answer. Trying again…', signin: 'Sign in with a link: `vayla console` prints it.',
    oldest: 'oldest', ready: 'ready', flow: 'What flows', none: 'Nothing is parked, waits or asks.'
  },
  fi: {
    now: 'Nyt', inbox: 'Työlista', show: 'Näytä', find: 'Tilaus-, maksu-, kauppa- tai seurantanumero',
    systems: 'Järjestelmät', last: 'Viimeiset tapahtumat', running: 'käynnissä', away: 'poissa', observe: 'seuraa',
    live: 'käytössä', paused: 'pysäytetty', events: 'tapahtumaa', settled: 'toimitettu', open: 'avoinna', retry: 'myöhemmin uudelleen',
    wait: 'odottaa', ask: 'kysymyksiä', parked: 'pysäköity', duplicates: 'jo tuttuja', pause: 'Pysäytä', go: 'Jatka',
    seq: 'Nro', time: 'Aika', type: 'Tyyppi', subject: 'Kohde', source: 'Mistä', nothing: 'Ei mitään.',
    money: 'Raha', ordered: 'tilattu', credited: 'hyvitetty', captured: 'veloitettu', refunded: 'palautettu',
    stillopen: 'vielä avoinna', unmask: 'Näytä henkilötiedot', mask: 'Piilota henkilötiedot', names: 'Muut nimet', choose: 'Useita osumia:',
    lost: 'Välittäjä ei vastaa. Yritetään uudelleen…', signin: 'Kirjaudu linkillä, jonka `vayla console` tulostaa.',
    oldest: 'vanhin', ready: 'valmiina', flow: 'Mitä kulkee', none: 'Mikään ei ole pysäköity, odota tai kysy.'
  }
}

let lang = localStorage.getItem('lang') || (navigator.language.startsWith('fi') ? 'fi' : 'en')
export const t = key => words[lang][key] ?? key

// An element: el('td', {class: 'n'}, child, ...). Text only ever enters as text.
export function el (name, attrs = {}, ...children) {
  const svg = ['svg', 'path', 'rect', 'text', 'g', 'line'].includes(name)
  const e = svg ? document.createElementNS('http://www.w3.org/2000/svg', name) : document.createElement(name)
  for (const [k, v] of Object.entries(attrs)) {
    if (k.startsWith('on')) e.addEventListener(k.slice(2), v)
    else if (v !== undefined && v !== false) e.setAttribute(k, v === true ? '' : v)
  }
  e.append(...children.filter(c => c !== undefined && c !== null && c !== false))
  return e
}

// JSON whose numbers keep their digits: decimals become text before parsing.
function exact (text) {
  return JSON.parse(text.replace(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g,
    m => m[0] === '"' || /^-?\d{1,15}$/.test(m) ? m : `"${m}"`))
}

const trouble = document.getElementById('trouble')
export async function get (path) {
  let r
  try {
    r = await fetch(path, { headers: { Accept: 'application/json' } })
  } catch {
    trouble.textContent = t('lost')
    trouble.hidden = false
    throw new Error(t('lost'))
  }
  trouble.hidden = r.status !== 401
  if (r.status === 401) trouble.textContent = t('signin')
  const body = exact(await r.text())
  if (!r.ok) throw new Error(body.error)
  return body
}

export const clock = iso => iso ? new Date(iso).toLocaleTimeString(lang, { hour12: false }) : ''
export const link = subject => el('a', { href: '/order/' + encodeURIComponent(subject) }, subject)

const screens = [
  [/^\/$/, now],
  [/^\/inbox$/, inbox],
  [/^\/order\/(.+)$/, order]
]
let shown = null

function show () {
  const main = document.getElementById('screen')
  shown?.stop?.()
  main.replaceChildren()
  for (const e of document.querySelectorAll('[data-t]')) e.textContent = t(e.dataset.t)
  document.documentElement.lang = lang
  document.getElementById('lang').textContent = lang === 'fi' ? 'en' : 'fi'
  document.getElementById('word').placeholder = t('find')
  for (const a of document.querySelectorAll('nav a')) {
    if (a.pathname === location.pathname) a.setAttribute('aria-current', 'page')
    else a.removeAttribute('aria-current')
  }
  for (const [path, screen] of screens) {
    const m = path.exec(location.pathname)
    if (!m) continue
    shown = screen
    screen.show(main, m[1] && decodeURIComponent(m[1]))
    return
  }
  main.append(el('p', {}, t('nothing')))
}

export function open (path) {
  history.pushState(null, '', path)
  show()
}

document.addEventListener('click', e => {
  const a = e.target.closest('a')
  if (!a || a.origin !== location.origin || e.ctrlKey || e.metaKey || e.shiftKey) return
  e.preventDefault()
  open(a.pathname + a.search)
})
document.getElementById('find').addEventListener('submit', e => {
  e.preventDefault()
  const word = document.getElementById('word').value.trim()
  if (word) open('/order/' + encodeURIComponent(word))
})
document.getElementById('lang').addEventListener('click', () => {
  lang = lang === 'fi' ? 'en' : 'fi'
  localStorage.setItem('lang', lang)
  show()
})
document.addEventListener('keydown', e => {
  if (e.key === '/' && !/INPUT|TEXTAREA/.test(document.activeElement.tagName)) {
    e.preventDefault()
    document.getElementById('word').focus()
  }
})
addEventListener('popstate', show)
show()
