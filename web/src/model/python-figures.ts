// The Python lines that compute the figures of the page: a comparison, what the network writes, the space of states, and
// the parts of a drive.
import { type Hold, holdsAfter } from '../../engine/holds'
import type { Range } from '../data/view'
import { offsetAfter } from './characters'
import { type BranchRow, type Ghost, writtenText } from './continuation'
import type { Picture } from './picture'
import { call, listed, literal, preamble, sequenceLengths, traceLines, valuesOf } from './python-lines'

/** The other side of a comparison. */
interface OtherSide {
  run: Picture['run']
  layer: Picture['layer']
  signal: { name: string }
  text: string
  checkpoint: number | null
}

/** Return the lines that record both sides of a comparison, and pair their neurons if the text is the same. */
export function matchLines(picture: Picture, other: OtherSide, signal: string): string {
  const { run, text, layer, trace, holds } = picture
  const opened = call('gatescope.Run', [literal(`runs/${other.run.name}`)])
  const recorded = (network: string, words: string, held = false): string =>
    call('gatescope.record', [network, literal(words), ...(held ? ['interventions=holds'] : [])])
  const lines = [
    ...preamble(picture, holds, sequenceLengths(trace.start)),
    `other, _ = ${opened}.network(${other.checkpoint ?? ''})`,
    `first = ${recorded('network', text, holds.length > 0)}`,
    `second = ${recorded('other', other.text)}`,
  ]
  if (other.text !== text) return lines.join('\n')
  const named = [`layer=${literal(layer.name)}`, `signal=${literal(signal)}`]
  if (other.layer.name !== layer.name) named.push(`other_layer=${literal(other.layer.name)}`)
  if (other.signal.name !== signal) named.push(`other_signal=${literal(other.signal.name)}`)
  const matched = `pairs = ${call('gatescope.studies.matching.match', ['first', 'second', ...named])}`
  if (run.readout.kind === 'numbers') return [...lines, matched].join('\n')
  const surprise = (side: string): string => `${side}.steps["log_probability"]`
  const worse = `worse = ${call('numpy.nanmean', [`${surprise('first')} - ${surprise('second')}`])}`
  return ['import numpy', ...lines, matched, worse].join('\n')
}

/** What is taken of a comparison: the pairs of neurons, the steps, and whether the rows are B - A. */
export interface PairPart {
  pairs: readonly { first: number | null; second: number | null }[]
  steps: Range | null
  isDifference: boolean
}

/** Return the lines that give the values of both sides of a comparison, [steps, neurons], and the rows that are shown. */
export function pairLines(picture: Picture, other: OtherSide, signal: string, part: PairPart): string {
  const { pairs, steps, isDifference } = part
  const rows = steps ? `[${steps.first}:${steps.last + 1}]` : ''
  const both = pairs.filter(({ first, second }) => first !== null && second !== null)
  const chosen = (side: 'first' | 'second'): string => `[:, [${both.map((pair) => pair[side]).join(', ')}]]`
  const matching = matchLines(picture, other, signal)
  return [
    ...(matching.startsWith('import numpy') ? [] : ['import numpy']),
    matching,
    `a = ${valuesOf('first', picture.layer.name, signal)}${rows}  # steps x neurons of A`,
    `b = ${valuesOf('second', other.layer.name, other.signal.name)}${rows}`,
    ...(isDifference ? [`values = b${chosen('second')} - a${chosen('first')}`] : []),
  ].join('\n')
}

type Settings = Record<'length' | 'temperature' | 'seed', number>

/** Return how symbols are chosen: the keywords of `gatescope.sample`. */
function choiceOf({ end }: Picture['run'], { temperature, seed }: Settings): string[] {
  const greedy = temperature === 0
  return [
    `choice=${call('gatescope.Choice', [greedy ? 'greedy=True' : `temperature=${temperature}`])}`,
    ...(greedy ? [] : [`seed=${seed}`]),
    ...(end === null ? [] : [`stop=${literal(end)}`]),
  ]
}

/** Return the lines that write on after the text of a picture, with holds. */
export function writeLines(picture: Picture, holds: readonly Hold[], settings: Settings): string {
  const { run, text, trace } = picture
  const { steps } = trace
  const hasEnded = run.end !== null && trace.token[steps - 1] === run.vocabulary.indexOf(run.end)
  // After an end mark, the network reads it once more, from an empty text.
  const before = hasEnded ? steps - 1 : steps - (sequenceLengths(trace.start).at(-1) ?? 0)
  const parts = call('network.configuration.vocabulary.split', [literal(text)])
  const given = [
    'network',
    hasEnded || !steps ? literal('') : run.end === null ? literal(text) : `${parts}[-1]`,
    `length=${settings.length}`,
    ...choiceOf(run, settings),
    ...(holds.length ? ['interventions=holds'] : []),
  ]
  const written = call('"".join', [call('gatescope.sample', given)])
  return [...preamble(picture, holdsAfter(holds, before), []), `text = ${written}`].join('\n')
}

/** What the network reads before it goes on after some steps of the text, and how many steps come before that. */
interface Beginning {
  /** Null for bytes that are no text. */
  text: string | null
  ids: readonly number[]
  before: number
}

/** Return where the network goes on after some steps of a text. */
function beginningAfter({ run, text, trace }: Picture, steps: number): Beginning {
  const { end, unit, vocabulary } = run
  if (!steps || (end !== null && trace.token[steps - 1] === vocabulary.indexOf(end))) {
    const empty = end ?? (vocabulary.includes('\n') ? '\n' : vocabulary[0]!)
    return { text: empty, ids: [vocabulary.indexOf(empty)], before: Math.max(0, steps - 1) }
  }
  let before = steps - 1
  while (before > 0 && !trace.start[before]) before--
  const offset = (count: number): number => offsetAfter(trace.labels, text, count, unit)
  const words = text.slice(offset(before), offset(steps))
  const isWhole = unit !== 'byte' || new TextEncoder().encode(words).length === steps - before
  return { text: isWhole ? words : null, ids: [...trace.token.subarray(before, steps)], before }
}

/** What the network wrote behind the text or in a branch, and what it had read before. */
interface WrittenPart {
  beginning: Beginning
  shared: number
  symbols: number
  row: Ghost | BranchRow
}

/** Return the lines that give the values of what the network wrote and of its branches, one after the other. */
export function continuationLines(
  picture: Picture,
  signal: string,
  holds: readonly Hold[],
  settings: Settings,
  { ghost, branches }: { ghost: Ghost | null; branches: readonly BranchRow[] },
): string {
  const { trace, layer } = picture
  const parts: WrittenPart[] = [
    ...(ghost ? [{ beginning: beginningAfter(picture, trace.steps), shared: 0, symbols: 0, row: ghost }] : []),
    ...branches.map((row) => ({
      beginning: beginningAfter(picture, Math.min(row.branch.step + 1, trace.steps)),
      shared: row.skip,
      symbols: row.skip + 1,
      row,
    })),
  ]
  const [importing, ...loading] = preamble(picture, [], [])
  const isText = parts.every(
    ({ beginning, row }) => beginning.text !== null && !row.continuation.text.includes('\ufffd'),
  )
  const values = `trace[${literal(layer.name)}][${literal(signal)}]`
  const lines = isText
    ? sampledLines(picture, holds, settings, parts, values)
    : readLines(holds, parts, `    parts.append(${values}[0, before:])`)
  return [
    importing!,
    'import numpy',
    ...loading,
    ...lines,
    'values = numpy.concatenate(parts)  # steps x neurons',
  ].join('\n')
}

/** Return the lines that let the network write each part. */
function sampledLines(
  { run }: Picture,
  holds: readonly Hold[],
  settings: Settings,
  parts: readonly WrittenPart[],
  values: string,
): string[] {
  const tuples = parts.map(({ beginning, shared, symbols, row }) => {
    const { token } = row.continuation.trace
    const begun = beginning.text ?? ''
    const continued = (count: number): string => literal(begun + writtenText(run, token.subarray(0, count), begun))
    const hasEnded = run.end !== null && token[symbols - 1] === run.vocabulary.indexOf(run.end)
    const held = listed(holdsAfter(holds, beginning.before))
    return `    (${[continued(shared), continued(symbols), hasEnded ? 0 : settings.length, held].join(', ')}),`
  })
  const sampled = ['network', 'begin', 'length=length', ...choiceOf(run, settings), 'interventions=holds']
  return [
    'encode = network.configuration.vocabulary.encode',
    'parts = []',
    'for before, begin, length, holds in [',
    ...tuples,
    ']:',
    `    text = begin + "".join(${call('gatescope.sample', sampled)})`,
    '    trace = gatescope.record(network, [encode(text)], interventions=holds)',
    `    parts.append(${values}[0, len(encode(before)) :])`,
  ]
}

/** Return the lines that let the network read each part: bytes that are no text cannot be given to `gatescope.sample`. */
function readLines(holds: readonly Hold[], parts: readonly WrittenPart[], append: string): string[] {
  const tuples = parts.map(({ beginning, shared, row }) => {
    const ids = [...beginning.ids, ...row.continuation.trace.token].join(', ')
    return `    (${beginning.ids.length + shared}, [${ids}], ${listed(holdsAfter(holds, beginning.before))}),`
  })
  return [
    'parts = []',
    'for before, ids, holds in [',
    ...tuples,
    ']:',
    '    trace = gatescope.record(network, [numpy.array(ids)], interventions=holds)',
    append,
  ]
}

/** What the axes of a space of states are: two neurons, or principal components of every `stride`-th step. */
export type SpaceAxes = { neurons: readonly [number, number] } | { components: number; stride: number }

/** Return the lines that give the path through the space of states, [steps, axes]. */
export function spaceLines(picture: Picture, signal: string, axes: SpaceAxes): string {
  const lines = [...traceLines(picture), `values = ${valuesOf('trace', picture.layer.name, signal)}  # steps x neurons`]
  if ('neurons' in axes) return [...lines, `values = values[:, [${axes.neurons.join(', ')}]]`].join('\n')
  const used = axes.stride > 1 ? `values[::${axes.stride}]` : 'values'
  return [
    ...lines,
    `mean = ${used}.mean(0, dtype=float)`,
    `_, _, directions = numpy.linalg.svd(${used} - mean, full_matrices=False)`,
    `directions = directions[:${axes.components}]`,
    'directions *= numpy.sign(numpy.take_along_axis(directions, abs(directions).argmax(1)[:, None], 1))',
    'values = (values - mean) @ directions.T',
  ].join('\n')
}

/** Return the lines that give the parts of a drive of a neuron at a step of the text. */
export function driveLines(picture: Picture, drive: string, neuron: number, step: number): string {
  const { holds, text, trace, layer } = picture
  let sequence = 0
  let first = 0
  for (let t = 1; t <= step; t++) if (trace.start[t]) [sequence, first] = [sequence + 1, t]
  const settings = ['network', literal(text), ...(holds.length ? ['interventions=holds'] : [])]
  const place = [`neuron=${neuron}`, `step=${step - first}`, `sequence=${sequence}`, `layer=${literal(layer.name)}`]
  return [
    ...preamble(picture, holds, sequenceLengths(trace.start)),
    `trace = ${call('gatescope.record', settings)}`,
    `table = ${call('gatescope.studies.drive_parts.drive_parts', ['network', 'trace', literal(drive), ...place])}`,
    'values = table["part"]',
  ].join('\n')
}
