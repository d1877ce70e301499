// The view state in the address of the page. Only what differs from the default is written.
import { MAX_HOLDS } from '../../engine/holds'
import { type Hold, type Range, SORTS, START, type ViewState, ZOOMS } from '../data/view'
import { type Code, text } from '../messages/text'
import { holdText, parseHold } from './hold-address'

const MEASURES = ['gradient', 'change'] as const

const VIEWS = ['network', 'neuron', 'health', 'gradient', 'lesson'] as const

// A longer text goes after the "#", which is never sent: servers refuse very long addresses.
const MAX_QUERY_TEXT_CHARACTERS = 3000

/** Return the address of a view. */
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
  for (const hold of state.holds) query.append('hold', holdText(hold))
  if (state.text !== null) {
    const encoded = new URLSearchParams({ text: state.text }).toString()
    if (encoded.length > MAX_QUERY_TEXT_CHARACTERS) fragment = `#${encoded}`
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

const FIELD_NAMES: ReadonlySet<string> = new Set<Exclude<keyof ViewState, 'holds'> | 'hold'>([
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
  'threshold',
  'pair',
  'checkpoint',
  'by',
  'drive',
  'source',
  'hold',
])

/** A field of an address: its parser, the accepted values, and what is shown instead of a wrong one. */
interface Field<T> {
  parse: (value: string) => T | null | undefined
  expected: string
  shown: Code
}

/** Return a field that accepts one of some names. */
function choice<T extends string>(names: readonly T[], expected: string, shown: Code): Field<T> {
  return { parse: (value) => names.find((name) => name === value), expected, shown }
}

/**
 * Return the view of an address.
 *
 * @param report called with a sentence for each part that is wrong and therefore left out
 */
export function fromAddress(search: string, fragment = '', report: (sentence: string) => void = () => {}): ViewState {
  const query = new URLSearchParams(search)
  const read = <T>(name: string, { parse, expected, shown }: Field<T>): T | null => {
    const value = query.get(name)
    if (value === null || value === '') return null
    const parsed = parse(value) ?? null
    if (parsed === null) report(linkProblem(name, expected, value, text(shown)))
    return parsed
  }
  const readCount = (name: string, shown: Code): number | null =>
    read(name, { parse: parseCount, expected: text('LINK_EXPECTED_NUMBER'), shown })
  const readRange = (name: string, shown: Code): Range | null =>
    read(name, { parse: parseRange, expected: text('LINK_EXPECTED_RANGE'), shown })
  for (const name of new Set(query.keys()))
    if (!FIELD_NAMES.has(name)) report(text('LINK_FIELD_UNKNOWN', { name: shortened(name) }))
  const run = query.get('run')
  const view = read('view', choice(VIEWS, VIEWS.join(', '), 'LINK_SHOWN_NETWORK'))
  if (run === null && view !== null) report(text('LINK_RUN_MISSING'))
  const unknownView = run !== null && query.get('view') !== null && view === null
  const [first, second] = MEASURES
  const state: ViewState = {
    view: run === null ? 'runs' : (view ?? (unknownView ? 'network' : 'runs')),
    run,
    layer: query.get('layer') || null,
    signal: query.get('signal') || null,
    neuron: readCount('neuron', 'LINK_SHOWN_NO_NEURON'),
    step: readCount('step', 'LINK_SHOWN_NO_STEP'),
    text: query.get('text') ?? new URLSearchParams(fragment.replace(/^#/, '')).get('text'),
    sort: read('sort', choice(SORTS, SORTS.join(', '), 'LINK_SHOWN_ORDER')) ?? START.sort,
    zoom:
      read('zoom', {
        parse: (value) => ((parseCount(value) ?? ZOOMS) < ZOOMS ? parseCount(value) : null),
        expected: text('LINK_EXPECTED_ZOOM', { last: ZOOMS - 1 }),
        shown: 'LINK_SHOWN_ZOOM',
      }) ?? START.zoom,
    feature: query.get('feature') || null,
    filter: query.get('filter') ?? '',
    range: readRange('range', 'LINK_SHOWN_NO_RANGE'),
    threshold: read('threshold', {
      parse: parsePositive,
      expected: text('LINK_EXPECTED_POSITIVE'),
      shown: 'LINK_SHOWN_THRESHOLD',
    }),
    pair: readRange('pair', 'LINK_SHOWN_NO_PAIR'),
    checkpoint: readCount('checkpoint', 'LINK_SHOWN_BEST_WEIGHTS'),
    by:
      read('by', choice(MEASURES, text('LINK_EXPECTED_MEASURE', { first, second }), 'LINK_SHOWN_GRADIENT')) ?? START.by,
    drive: query.get('drive') || null,
    source: readCount('source', 'LINK_SHOWN_NEURON'),
    holds: readHolds(query.getAll('hold'), report),
  }
  if (state.view === 'neuron' && state.neuron === null) state.neuron = 0
  return state
}

/** Return the holds of an address; the ones that cannot be read are reported and left out. */
function readHolds(parts: readonly string[], report: (sentence: string) => void): Hold[] {
  const holds: Hold[] = []
  for (const part of parts) {
    const hold = holds.length < MAX_HOLDS ? parseHold(part) : null
    if (hold) holds.push(hold)
    else report(linkProblem('hold', text('LINK_EXPECTED_HOLD', { most: MAX_HOLDS }), part, text('LINK_SHOWN_NO_HOLD')))
  }
  return holds
}

const shortened = (value: string): string => (value.length > 40 ? `${value.slice(0, 40)}…` : value)

/** Return the sentence for a wrong value of a link: what was expected, what it is, and what is shown instead. */
export function linkProblem(name: string, expected: string, value: string | number, shown: string): string {
  const field = `${name[0]!.toUpperCase()}${name.slice(1)}`
  return text('LINK_VALUE_WRONG', { field, expected, value: shortened(String(value)), shown })
}
