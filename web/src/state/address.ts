// The view state in the address of the page. Only what differs from the default is written, and of a long text its name.
import { MAX_HOLDS } from '../../engine/holds'
import {
  BELOWS,
  type Branch,
  FIT_ZOOM,
  FORMS,
  type Hold,
  type HoldSet,
  MAX_PAGE_NEURONS,
  OVERS,
  PAIRINGS,
  PANEL_TABS,
  type Range,
  RUN_ORDERS,
  SCALES,
  SORTS,
  START,
  type ViewState,
  ZOOMS,
} from '../data/view'
import { catalogue } from '../messages/catalogue.svelte'
import { type Code, text } from '../messages/text'
import { branchText, isSameBranch, MAX_BRANCHES, parseBranch } from './branch-address'
import { holdText, MAX_SETS, parseHold, parseSet, setText } from './hold-address'
import { besideText, parseBeside } from './beside-address'
import { keyCharacters, MAX_ADDRESS_CHARACTERS, storedText, textKey } from './long-texts'
import { MAX_SEED, MAX_TEMPERATURE, MAX_WRITTEN_SYMBOLS, numberIn } from './writing-settings'

const MEASURES = ['gradient', 'change'] as const

const VIEWS = ['network', 'neuron', 'learning', 'gradient', 'health', 'lesson', 'playground'] as const

// A longer text goes after the "#", which is never sent: servers refuse very long addresses.
const MAX_QUERY_TEXT_CHARACTERS = 3000

/** The rows of an address that shows B - A. */
const DIFFERENCE = 'difference'

/** The zoom of an address that shows the whole text. */
const FIT = 'fit'

/** The space of an address that has principal components as its axes. */
const PCA = 'pca'

/** Return the address of a view. */
export function toAddress(state: ViewState): string {
  const query = new URLSearchParams()
  let fragment = ''
  if (catalogue.inAddress) query.set('lang', catalogue.language)
  if (state.view !== START.view) query.set('view', state.view)
  for (const key of ['run', 'layer', 'signal', 'drive', 'matrix', 'sum', 'at', 'bin', 'experiment', 'lesson'] as const)
    if (state[key] !== null) query.set(key, state[key])
  for (const key of ['neuron', 'step', 'source', 'operation'] as const)
    if (state[key] !== null) query.set(key, String(state[key]))
  if (state.sort !== null) query.set('sort', state.sort)
  if (state.order !== START.order) query.set('order', state.order)
  if (state.zoom !== START.zoom) query.set('zoom', state.zoom === FIT_ZOOM ? FIT : String(state.zoom))
  if (state.scale !== START.scale) query.set('scale', state.scale)
  if (state.as !== START.as) query.set('as', state.as)
  // An address that has only the axes of the space means that tab.
  if (state.panel !== START.panel || state.space) query.set('panel', state.panel)
  if (state.space) query.set('space', state.space.join(','))
  if (state.over !== START.over) query.set('over', state.over)
  if (state.neurons.length) query.set('neurons', state.neurons.join(','))
  if (state.feature !== null) query.set('feature', state.feature)
  if (state.filter) query.set('filter', state.filter)
  if (state.range) query.set('range', `${state.range.first}-${state.range.last}`)
  if (state.threshold !== null) query.set('threshold', String(state.threshold))
  if (state.pair) query.set('pair', `${state.pair.first}-${state.pair.last}`)
  if (state.checkpoint !== null) query.set('checkpoint', String(state.checkpoint))
  if (state.by !== START.by) query.set('by', state.by)
  for (const set of state.sets) query.append('sets', setText(set))
  if (state.against !== null) query.set('against', state.against)
  if (state.below !== START.below) query.set('below', state.below)
  for (const hold of state.holds) query.append('hold', holdText(hold))
  for (const key of ['write', 'temperature', 'seed'] as const)
    if (state[key] !== null) query.set(key, String(state[key]))
  for (const branch of state.branches) query.append('branch', branchText(branch))
  for (const words of state.experiments) query.append('experiments', words)
  if (state.beside) query.set('with', besideText(state.beside))
  if (state.pairs !== null) query.set('pairs', state.pairs)
  if (state.difference) query.set('rows', DIFFERENCE)
  if (state.text !== null) {
    const encoded =
      state.text.length > MAX_ADDRESS_CHARACTERS ? '' : new URLSearchParams({ text: state.text }).toString()
    if (state.text.length > MAX_ADDRESS_CHARACTERS) query.set('stored', textKey(state.text))
    else if (encoded.length > MAX_QUERY_TEXT_CHARACTERS) fragment = `#${encoded}`
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

/** Return different numbers of neurons, such as those of "4,7"; null for anything else. */
function parseNeurons(value: string): number[] | null {
  const neurons = value.split(',').map(parseCount)
  const isWrong = neurons.length > MAX_PAGE_NEURONS || new Set(neurons).size < neurons.length
  return isWrong || neurons.some((neuron) => neuron === null) ? null : (neurons as number[])
}

function parsePositive(value: string | null): number | null {
  const number = value === null || value.trim() === '' ? NaN : Number(value)
  return Number.isFinite(number) && number > 0 ? number : null
}

const FIELD_NAMES: ReadonlySet<string> = new Set<
  | Exclude<keyof ViewState, 'holds' | 'branches' | 'beside' | 'difference'>
  | 'hold'
  | 'branch'
  | 'with'
  | 'rows'
  | 'lang'
  | 'stored'
  | 'tour'
>([
  'lang',
  'tour',
  'view',
  'run',
  'layer',
  'signal',
  'neuron',
  'step',
  'text',
  'stored',
  'sort',
  'order',
  'zoom',
  'scale',
  'as',
  'neurons',
  'panel',
  'space',
  'matrix',
  'operation',
  'sum',
  'over',
  'at',
  'bin',
  'experiment',
  'experiments',
  'lesson',
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
  'below',
  'write',
  'temperature',
  'seed',
  'branch',
  'sets',
  'against',
  'with',
  'pairs',
  'rows',
])

/** The fields that an address may have several times. */
const LIST_NAMES: ReadonlySet<string> = new Set(['hold', 'branch', 'sets', 'experiments'])

/** A field of an address: its parser, the accepted values, and what is shown instead of a wrong one. */
interface Field<T> {
  parse: (value: string) => T | null | undefined
  expected: string
  shown: Code
}

/** Return a field that accepts one of some names. */
function choice<T extends string>(names: readonly T[], shown: Code): Field<T> {
  const expected = names.join(text('LIST_NAMES'))
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
    else if (!LIST_NAMES.has(name) && query.getAll(name).length > 1) report(text('LINK_FIELD_REPEATED', { name }))
  const run = query.get('run')
  const isList = query.get('view') === 'runs'
  const view = isList ? null : read('view', choice(VIEWS, 'LINK_SHOWN_NETWORK'))
  const isPlayground = view === 'playground'
  if (run === null && view !== null && !isPlayground) report(text('LINK_RUN_MISSING'))
  const unknownView = run !== null && !isList && query.get('view') !== null && view === null
  const state: ViewState = {
    view: run === null && !isPlayground ? 'runs' : (view ?? (unknownView ? 'network' : 'runs')),
    run,
    layer: query.get('layer') || null,
    signal: query.get('signal') || null,
    neuron: readCount('neuron', 'LINK_SHOWN_NO_NEURON'),
    step: readCount('step', 'LINK_SHOWN_NO_STEP'),
    text: query.get('text') ?? new URLSearchParams(fragment.replace(/^#/, '')).get('text') ?? readStored(query, report),
    sort: read('sort', choice(SORTS, 'LINK_SHOWN_ORDER')) ?? START.sort,
    order: read('order', choice(RUN_ORDERS, 'LINK_SHOWN_RUN_ORDER')) ?? START.order,
    zoom:
      read('zoom', {
        parse: (value) => (value === FIT ? FIT_ZOOM : (parseCount(value) ?? ZOOMS) < ZOOMS ? parseCount(value) : null),
        expected: text('LINK_EXPECTED_ZOOM', { last: ZOOMS - 1 }),
        shown: 'LINK_SHOWN_ZOOM',
      }) ?? START.zoom,
    scale: read('scale', choice(SCALES, 'LINK_SHOWN_SCALE')) ?? START.scale,
    as: read('as', choice(FORMS, 'LINK_SHOWN_STRIPS')) ?? START.as,
    neurons:
      read('neurons', {
        parse: parseNeurons,
        expected: text('LINK_EXPECTED_NEURONS', { most: MAX_PAGE_NEURONS }),
        shown: 'LINK_SHOWN_NO_NEURONS',
      }) ?? START.neurons,
    panel:
      read('panel', choice(PANEL_TABS, 'LINK_SHOWN_EQUATIONS')) ??
      (query.get('space') && !query.get('panel') ? 'space' : START.panel),
    space: readSpace(read),
    matrix: query.get('matrix') || null,
    sum: query.get('sum') || null,
    operation: readCount('operation', 'LINK_SHOWN_ALL_OPERATIONS'),
    over: read('over', choice(OVERS, 'LINK_SHOWN_HELD_OUT')) ?? START.over,
    at: query.get('at') || null,
    bin: query.get('bin') || null,
    experiment: query.get('experiment') || null,
    experiments: query.getAll('experiments').filter(Boolean),
    lesson: query.get('lesson') || null,
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
    by: read('by', choice(MEASURES, 'LINK_SHOWN_GRADIENT')) ?? START.by,
    drive: query.get('drive') || null,
    source: readCount('source', 'LINK_SHOWN_NEURON'),
    sets: readSets(query.getAll('sets'), report),
    against: query.get('against') || null,
    below: read('below', choice(BELOWS, 'LINK_SHOWN_BELOW')) ?? START.below,
    holds: readHolds(query.getAll('hold'), report),
    write: read('write', {
      parse: (value) => numberIn(value, 0, MAX_WRITTEN_SYMBOLS, true),
      expected: text('LINK_EXPECTED_COUNT', { most: MAX_WRITTEN_SYMBOLS }),
      shown: 'LINK_SHOWN_WRITE',
    }),
    temperature: read('temperature', {
      parse: (value) => numberIn(value, 0, MAX_TEMPERATURE, false),
      expected: text('LINK_EXPECTED_TEMPERATURE', { most: MAX_TEMPERATURE }),
      shown: 'LINK_SHOWN_TEMPERATURE',
    }),
    seed: read('seed', {
      parse: (value) => numberIn(value, 0, MAX_SEED, true),
      expected: text('LINK_EXPECTED_COUNT', { most: MAX_SEED }),
      shown: 'LINK_SHOWN_SEED',
    }),
    branches: readBranches(query.getAll('branch'), report),
    beside: read('with', { parse: parseBeside, expected: text('LINK_EXPECTED_WITH'), shown: 'LINK_SHOWN_ALONE' }),
    pairs: read('pairs', choice(PAIRINGS, 'LINK_SHOWN_PAIRS')),
    difference: read('rows', choice([DIFFERENCE], 'LINK_SHOWN_BOTH')) !== null,
  }
  if (state.view === 'neuron' && state.neuron === null) state.neuron = 0
  return state
}

type Read = <T>(name: string, field: Field<T>) => T | null

/** Return the neurons that are the axes of the space of states; null for "pca", its principal components. */
function readSpace(read: Read): readonly [number, number] | null {
  const parse = (value: string): readonly number[] | null => (value === PCA ? [] : parseNeurons(value))
  const axes = read('space', {
    parse: (value) => (parse(value)?.length === 2 || value === PCA ? parse(value) : null),
    expected: text('LINK_EXPECTED_SPACE'),
    shown: 'LINK_SHOWN_COMPONENTS',
  })
  return axes?.length ? [axes[0]!, axes[1]!] : null
}

/** Return the long text that an address names; null, with a sentence, if this window does not have it. */
function readStored(query: URLSearchParams, report: (sentence: string) => void): string | null {
  const key = query.get('stored')
  if (key === null) return null
  const characters = keyCharacters(key)
  const stored = characters === null ? null : storedText(key)
  if (characters === null) report(text('LINK_STORED_WRONG', { value: shortened(key) }))
  else if (stored === null) report(text('LINK_STORED_MISSING', { characters }))
  return stored
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

/** Return the branches of an address; the ones that cannot be read, and repeated ones, are reported and left out. */
function readBranches(parts: readonly string[], report: (sentence: string) => void): Branch[] {
  const branches: Branch[] = []
  for (const part of parts) {
    const branch = branches.length < MAX_BRANCHES ? parseBranch(part) : null
    if (branch && !branches.some((other) => isSameBranch(branch, other))) branches.push(branch)
    else
      report(
        linkProblem('branch', text('LINK_EXPECTED_BRANCH', { most: MAX_BRANCHES }), part, text('LINK_SHOWN_NO_BRANCH')),
      )
  }
  return branches
}

/** Return the sets of holds of an address; the ones that cannot be read are reported and left out. */
function readSets(parts: readonly string[], report: (sentence: string) => void): HoldSet[] {
  const sets: HoldSet[] = []
  for (const part of parts) {
    const set = sets.length < MAX_SETS ? parseSet(part) : null
    if (set && !sets.some(({ name }) => name === set.name)) sets.push(set)
    else report(linkProblem('sets', text('LINK_EXPECTED_SET', { most: MAX_SETS }), part, text('LINK_SHOWN_NO_SET')))
  }
  return sets
}

/** Return the beginning of a long value, for a sentence. */
export const shortened = (value: string): string => (value.length > 40 ? `${value.slice(0, 40)}…` : value)

/** Return the sentence for a wrong value of a link: what was expected, what it is, and what is shown instead. */
export function linkProblem(name: string, expected: string, value: string | number, shown: string): string {
  const sentence = text('LINK_VALUE_WRONG', { field: name, expected, value: shortened(String(value)), shown })
  return `${sentence[0]!.toUpperCase()}${sentence.slice(1)}`
}
