// The Python lines that compute what the page shows: a text recorded with holds, and the array of a signal.
import { type Hold, interventionsOf } from '../../engine/holds'
import type { Picture } from './picture'

export const literal = (value: string): string => JSON.stringify(value)
export const call = (name: string, parts: string[]): string => `${name}(${parts.join(', ')})`
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
export function preamble({ run, checkpoint }: Picture, holds: readonly Hold[], lengths: readonly number[]): string[] {
  const opened = call('gatescope.Run', [literal(`runs/${run.name}`)])
  const lines = ['import gatescope', '', `network, _ = ${opened}.network(${checkpoint ?? ''})`]
  return holds.length ? [...lines, ...listLines('holds', holds, lengths)] : lines
}

/** Return the lines that list holds as interventions. */
function listLines(name: string, holds: readonly Hold[], lengths: readonly number[]): string[] {
  return [`${name} = [`, ...interventionsOf(holds, lengths).map((change) => `    ${intervention(change)},`), ']']
}

/** Return holds as interventions on one line. */
export const listed = (holds: readonly Hold[]): string => `[${interventionsOf(holds, []).map(intervention).join(', ')}]`

/** Return the lines that record what a picture shows, with holds. */
export function recordLines(picture: Picture, holds: readonly Hold[]): string {
  const recorded = call('gatescope.record', ['network', literal(picture.text), 'interventions=holds'])
  return [...preamble(picture, holds, sequenceLengths(picture.trace.start)), `trace = ${recorded}`].join('\n')
}

/** A part of a signal: steps across all sequences, and neurons. */
export interface ArrayPart {
  layer: string
  signal: string
  steps: { first: number; last: number } | null
  /** Null for all neurons. */
  neurons: readonly number[] | null
}

/** Return the expression for a signal of a trace, [steps, neurons], as a table of the page has it. */
export const valuesOf = (trace: string, layer: string, signal: string): string =>
  call('numpy.concatenate', [
    `[${trace}.sequence(k)[${literal(layer)}][${literal(signal)}][0] for k in range(len(${trace}.lengths))]`,
  ])

/** Return the lines that record a picture with NumPy at hand: its trace is `trace`. */
export function traceLines(picture: Picture): string[] {
  const { holds, text, trace } = picture
  const [importing, ...loading] = preamble(picture, holds, sequenceLengths(trace.start))
  const settings = ['network', literal(text), ...(holds.length ? ['interventions=holds'] : [])]
  return [importing!, 'import numpy', ...loading, `trace = ${call('gatescope.record', settings)}`]
}

/** Return the lines that give an array of a picture, [steps, neurons], as a table of the page has it. */
export function arrayLines(picture: Picture, { layer, signal, steps, neurons }: ArrayPart): string {
  const chosen = neurons ? `[:, [${neurons.join(', ')}]]` : ''
  const rows = steps ? `[${steps.first}:${steps.last + 1}]` : ''
  const lines = [...traceLines(picture), `values = ${valuesOf('trace', layer, signal)}  # steps x neurons`]
  if (rows || chosen) lines.push(`values = values${rows}${chosen}`)
  if (!picture.original) return lines.join('\n')
  const { baseline } = picture
  const settings = ['network', literal(picture.text), ...(baseline.length ? ['interventions=baseline'] : [])]
  return [
    ...lines,
    ...(baseline.length ? listLines('baseline', baseline, sequenceLengths(picture.trace.start)) : []),
    `trace = ${call('gatescope.record', settings)}`,
    `original = ${valuesOf('trace', layer, signal)}${rows}${chosen}`,
  ].join('\n')
}
