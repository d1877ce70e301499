// The predictions after one step, and what came or would have been right.
import { characterName, predictionLabels } from './characters'
import { percent } from './numbers'
import type { Picture } from './picture'
import { estimateAt, interval, outputs, sequenceAt } from './predictions'

export interface Guess {
  label: string
  probability: number
}

/** The likeliest next symbols (or classes) after one step, and what really came with its probability (null where nothing did). */
export function guesses(picture: Picture, step: number): { list: Guess[]; came: Guess | null } {
  const { trace, run } = picture
  const list: Guess[] = []
  for (let k = step * trace.top; k < (step + 1) * trace.top; k++) {
    const probability = trace.topProbability[k]!
    if (probability > 0) list.push({ label: predictionLabels(run)[trace.topToken[k]!] ?? '?', probability })
  }
  const log = trace.logProbability[step]!
  if (run.readout.kind === 'classes') {
    const right = run.readout.names[rightClass(picture, step)]
    const known = list.find((one) => one.label === right)
    const probability = Number.isNaN(log) ? (known?.probability ?? NaN) : Math.exp(log)
    return { list, came: right === undefined ? null : { label: right, probability } }
  }
  const next = trace.labels[step + 1]
  const came =
    Number.isNaN(log) || next === undefined || trace.start[step + 1]
      ? null
      : { label: next, probability: Math.exp(log) }
  return { list, came }
}

/** The class that should have been said; of a network that answers once, that of the whole sequence. */
function rightClass({ trace, run }: Picture, step: number): number {
  const once = run.readout.reads === 'last step'
  return trace.target?.[once ? sequenceAt(trace.start, step).end - 1 : step] ?? -1
}

/** What came after a step (or what is right of it), in words. */
export function really(picture: Picture, step: number): string {
  const { trace, run } = picture
  const { came } = guesses(picture, step)
  if (run.readout.kind === 'classes') {
    if (!came) return 'what is right here is not known'
    return `right: ${came.label}${Number.isNaN(came.probability) ? '' : `, ${percent(came.probability)}`}`
  }
  if (came) return `really came: ${characterName(came.label)}, ${percent(came.probability)}`
  const next = trace.labels[step + 1]
  if (next === undefined) return 'the text ends here'
  if (trace.start[step + 1]) return 'the sequence ends here; the next one starts afresh'
  return `really came: ${characterName(next)}, which it does not know`
}

/** A guess as it stands in a list: classes by their plain names. */
export function guessName(picture: Picture, label: string): string {
  return picture.run.readout.kind === 'classes' ? label : characterName(label)
}

export interface Told {
  name: string
  middle: number
  /** The ends of the interval; null where only the mean is estimated. */
  band: [number, number] | null
  /** NaN where nobody knows. */
  right: number
}

/** The numbers that were estimated after a step, each with what should have been said. */
export function told(picture: Picture, step: number): Told[] {
  const { trace, run } = picture
  const { estimate, value } = trace
  if (!estimate) return []
  const once = run.readout.reads === 'last step'
  const asked = once ? sequenceAt(trace.start, step).end - 1 : step
  return outputs(run, trace).map(({ name, index }) => {
    const { low, middle, high } = estimateAt(run.readout, estimate, step, index)
    const right = value?.data[asked * value.width + index] ?? NaN
    return { name, middle, band: interval(run.readout) === null ? null : [low, high], right }
  })
}
