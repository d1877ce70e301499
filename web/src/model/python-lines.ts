// The Python lines that compute what the page shows: a text recorded with holds, and a text that the network writes.
import { type Hold, holdsAfter, interventionsOf } from '../../engine/holds'
import type { Picture } from './picture'

const literal = (value: string): string => JSON.stringify(value)
const call = (name: string, parts: string[]): string => `${name}(${parts.join(', ')})`
const slice = (start: number | null = null, stop: number | null = null): string =>
  call('slice', [String(start ?? 'None'), String(stop ?? 'None')])

/** Return the number of steps of each sequence of a trace. */
export function sequenceLengths(start: Uint8Array): number[] {
  const lengths: number[] = []
  for (const begins of start) {
    if (begins || !lengths.length) lengths.push(0)
    lengths[lengths.length - 1]!++
  }
  return lengths
}

/** Return an intervention as it is made in Python. */
function intervention(change: ReturnType<typeof interventionsOf>[number]): string {
  const { layer, signal, neuron, shift, steps, row } = change as typeof change & {
    steps: { start?: number; stop?: number | null } | null
    row: number | { start?: number; stop?: number | null } | null
  }
  const parts = [literal(String(layer)), literal(signal), String(neuron)]
  const value = String(shift)
  const when = steps === null ? [] : [`steps=${slice(steps.start, steps.stop)}`]
  if (row === null) return call('gatescope.clamp', [...parts, value, ...when])
  const rows = typeof row === 'number' ? String(row) : slice(row.start, row.stop)
  return call('gatescope.Intervention', [...parts, `shift=${value}`, ...when, `row=${rows}`])
}

/** Return the lines that load the network of a picture, and list holds as interventions. */
function preamble({ run, checkpoint }: Picture, holds: readonly Hold[], lengths: readonly number[]): string[] {
  const opened = call('gatescope.Run', [literal(`runs/${run.name}`)])
  const lines = ['import gatescope', '', `network, _ = ${opened}.network(${checkpoint ?? ''})`]
  if (!holds.length) return lines
  const changes = interventionsOf(holds, lengths).map((change) => `    ${intervention(change)},`)
  return [...lines, 'holds = [', ...changes, ']']
}

/** Return the lines that record what a picture shows, with holds. */
export function recordLines(picture: Picture, holds: readonly Hold[]): string {
  const recorded = call('gatescope.record', ['network', literal(picture.text), 'interventions=holds'])
  return [...preamble(picture, holds, sequenceLengths(picture.trace.start)), `trace = ${recorded}`].join('\n')
}

/** Return the lines that write on after the text of a picture, with holds. */
export function writeLines(
  picture: Picture,
  holds: readonly Hold[],
  { length, temperature, seed }: Record<'length' | 'temperature' | 'seed', string>,
): string {
  const { run, text, trace } = picture
  const { steps } = trace
  const hasEnded = run.end !== null && trace.token[steps - 1] === run.vocabulary.indexOf(run.end)
  // After an end mark, the network reads it once more, from an empty text.
  const before = hasEnded ? steps - 1 : steps - (sequenceLengths(trace.start).at(-1) ?? 0)
  const greedy = Number(temperature) === 0
  const parts = call('network.configuration.vocabulary.split', [literal(text)])
  const settings = [
    'network',
    hasEnded || !steps ? literal('') : run.end === null ? literal(text) : `${parts}[-1]`,
    `length=${length}`,
    `choice=${call('gatescope.Choice', [greedy ? 'greedy=True' : `temperature=${temperature}`])}`,
    ...(greedy ? [] : [`seed=${seed}`]),
    ...(run.end === null ? [] : [`stop=${literal(run.end)}`]),
    ...(holds.length ? ['interventions=holds'] : []),
  ]
  const written = call('"".join', [call('gatescope.sample', settings)])
  return [...preamble(picture, holdsAfter(holds, before), []), `text = ${written}`].join('\n')
}
