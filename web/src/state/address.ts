// The whole view in the address: the view state <-> the query string. Only what differs from the default is written.
import { type Range, SORTS, START, type ViewState, ZOOMS } from '../data/view'

const MEASURES = ['gradient', 'change'] as const

const VIEWS = ['network', 'neuron', 'health', 'gradient', 'lesson'] as const

// A longer text goes behind the "#": it is never sent, and servers refuse very long addresses.
const MAX_QUERY_TEXT_CHARACTERS = 3000

export function toAddress(state: ViewState): string {
  const query = new URLSearchParams()
  let fragment = ''
  if (state.view !== START.view) query.set('view', state.view)
  for (const key of ['run', 'layer', 'signal', 'drive'] as const) if (state[key] !== null) query.set(key, state[key])
  for (const key of ['neuron', 'step', 'source'] as const) if (state[key] !== null) query.set(key, String(state[key]))
  if (state.sort !== START.sort) query.set('sort', state.sort)
  if (state.zoom !== START.zoom) query.set('zoom', String(state.zoom))
  if (state.feature !== null) query.set('feature', state.feature)
  if (state.filter) query.set('filter', state.filter)
  if (state.range) query.set('range', `${state.range.first}-${state.range.last}`)
  if (state.threshold !== null) query.set('threshold', String(state.threshold))
  if (state.pair) query.set('pair', `${state.pair.first}-${state.pair.last}`)
  if (state.checkpoint !== null) query.set('checkpoint', String(state.checkpoint))
  if (state.by !== START.by) query.set('by', state.by)
  if (state.text !== null) {
    const text = new URLSearchParams({ text: state.text }).toString()
    if (text.length > MAX_QUERY_TEXT_CHARACTERS) fragment = `#${text}`
    else query.set('text', state.text)
  }
  const search = query.toString()
  return (search ? `?${search}` : '') + fragment
}

function parseCount(value: string | null): number | null {
  return value !== null && /^\d{1,9}$/.test(value) ? Number(value) : null
}

export function parseRange(value: string | null): Range | null {
  const [first = null, last = null] = (/^(\d{1,9})-(\d{1,9})$/.exec(value ?? '') ?? []).slice(1).map(Number)
  return first !== null && last !== null && first <= last ? { first, last } : null
}

function parsePositive(value: string | null): number | null {
  const number = value === null || value.trim() === '' ? NaN : Number(value)
  return Number.isFinite(number) && number > 0 ? number : null
}

const FIELD_NAMES = [
  ...([
    'view',
    'run',
    'layer',
    'signal',
    'neuron',
    'step',
    'text',
    'sort',
    'zoom',
    'feature',
    'filter',
    'range',
  ] as const),
  ...(['threshold', 'pair', 'checkpoint', 'by', 'drive', 'source'] as const),
]

/**
 * The view of an address. What it says that cannot be is left out, and reported as a sentence: what was expected, what
 * was there, and what is shown.
 */
export function fromAddress(search: string, fragment = '', report: (sentence: string) => void = () => {}): ViewState {
  const query = new URLSearchParams(search)
  /** What `read` makes of a parameter that is there; where it makes nothing of it, that is reported. */
  function field<T>(name: string, read: (value: string) => T | null | undefined, expected: string, shown: string) {
    const value = query.get(name)
    if (value === null || value === '') return null
    const found = read(value) ?? null
    if (found === null) report(linkProblem(name, expected, value, shown))
    return found
  }
  for (const name of new Set(query.keys()))
    if (!(FIELD_NAMES as readonly string[]).includes(name))
      report(`The link has “${shortened(name)}”, which this page does not know. It is left out.`)
  const run = query.get('run')
  const view = field('view', (name) => VIEWS.find((known) => known === name), VIEWS.join(', '), 'The network is shown.')
  const countField = (name: string, shown: string): number | null => field(name, parseCount, 'a whole number', shown)
  const rangeField = (name: string, shown: string): Range | null =>
    field(name, parseRange, 'two steps, the earlier one first, such as 3-7', shown)
  if (run === null && view !== null) report('The link names no run. All runs are shown.')
  const unknownView = run !== null && query.get('view') !== null && view === null
  const text = query.get('text') ?? new URLSearchParams(fragment.replace(/^#/, '')).get('text')
  const state: ViewState = {
    view: run === null ? 'runs' : (view ?? (unknownView ? 'network' : 'runs')),
    run,
    layer: query.get('layer') || null,
    signal: query.get('signal') || null,
    neuron: countField('neuron', 'No neuron is chosen.'),
    step: countField('step', 'No step is chosen.'),
    text,
    sort:
      field('sort', (name) => SORTS.find((known) => known === name), SORTS.join(', '), 'The order is by number.') ??
      START.sort,
    zoom:
      field(
        'zoom',
        (value) => ((parseCount(value) ?? ZOOMS) < ZOOMS ? parseCount(value) : null),
        `0 to ${ZOOMS - 1}`,
        'The usual size is shown.',
      ) ?? START.zoom,
    feature: query.get('feature') || null,
    filter: query.get('filter') ?? '',
    range: rangeField('range', 'No characters are chosen.'),
    threshold: field('threshold', parsePositive, 'a number above 0', 'The page chooses one.'),
    pair: rangeField('pair', 'No pair of steps is chosen.'),
    checkpoint: countField('checkpoint', 'The best weights are shown.'),
    by:
      field(
        'by',
        (name) => MEASURES.find((known) => known === name),
        MEASURES.join(' or '),
        'It is measured by gradient.',
      ) ?? START.by,
    drive: query.get('drive') || null,
    source: countField('source', 'Neuron 0 is shown.'),
  }
  if (state.view === 'neuron' && state.neuron === null) state.neuron = 0
  return state
}

const shortened = (value: string): string => (value.length > 40 ? `${value.slice(0, 40)}…` : value)

/** The sentence for a value of a link that cannot be. */
export function linkProblem(name: string, expected: string, value: string | number, shown: string): string {
  return `${name[0]!.toUpperCase()}${name.slice(1)} of the link: expected ${expected}, got “${shortened(String(value))}”. ${shown}`
}
