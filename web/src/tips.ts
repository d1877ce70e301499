// What is said about the text, what was read and what was said, when the pointer is over it.
import type { Picture } from './explorer.svelte'
import type { Spot } from './geometry'
import { named, predicted } from './glyphs'
import { estimateAt, interval, outputs, saidClasses, sequenceAt, short, stepName, stepWord } from './reading'
import type { Track } from './tracks'
import { percent } from './words'

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
    if (probability > 0) list.push({ label: predicted(run)[trace.topToken[k]!] ?? '?', probability })
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
  if (came) return `really came: ${named(came.label)}, ${percent(came.probability)}`
  const next = trace.labels[step + 1]
  if (next === undefined) return 'the text ends here'
  if (trace.start[step + 1]) return 'the sequence ends here; the next one starts afresh'
  return `really came: ${named(next)}, which it does not know`
}

/** A guess as it stands in a list: classes by their plain names. */
export function guessName(picture: Picture, label: string): string {
  return picture.run.readout.kind === 'classes' ? label : named(label)
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

const LISTED = 12

function saidTip(picture: Picture, step: number): string[] {
  if (picture.run.readout.kind === 'numbers')
    return told(picture, step)
      .slice(0, LISTED)
      .map((one) => {
        const band = one.band ? ` (${short(one.band[0])} to ${short(one.band[1])})` : ''
        return `${one.name}: ${short(one.middle)}${band}${Number.isNaN(one.right) ? '' : `, right: ${short(one.right)}`}`
      })
  const { list } = guesses(picture, step)
  if (!list.length)
    return ['It says nothing here: it answers when it has read all of the sequence', really(picture, step)]
  return [...list.map((one) => `${guessName(picture, one.label)}  ${percent(one.probability)}`), really(picture, step)]
}

export function headTip(picture: Picture, spot: Spot, shown: Track | null): string[] | null {
  if (!('step' in spot)) return null
  const { step } = spot
  const { run, trace } = picture
  const here = stepName(run, trace, step)
  const unit = stepWord(run.unit)
  if (spot.part === 'ruler') {
    const strange = (trace.token[step] ?? 0) >= run.vocabulary.length
    return [
      `Step ${step}: ${here}`,
      ...(strange ? [`the network does not know this ${unit}`] : []),
      `drag to choose ${run.unit === 'number' ? 'steps' : `${unit}s`}`,
    ]
  }
  if (spot.part === 'heat') {
    const width = trace.input?.width ?? 0
    const k = Math.min(width - 1, Math.floor(spot.share * width))
    return [`${run.vocabulary[k] ?? k} = ${short(trace.input?.data[step * width + k] ?? NaN)}`, `step ${step}`]
  }
  if (spot.part === 'chart') return [`Step ${step}: ${here}`, ...saidTip(picture, step)]
  if (spot.part === 'track') {
    const track = shown
    if (!track) return ['This text has no such feature']
    const value = track.values[step] ?? NaN
    const said = track.kind === 'binary' ? (value ? 'yes' : 'no') : Number.isNaN(value) ? 'not told' : String(value)
    return [track.title, `step ${step}, ${here}: ${said}`, track.name]
  }
  if (spot.part === 'surprise') {
    const nats = -(trace.logProbability[step] ?? NaN)
    return [Number.isNaN(nats) ? 'No surprise to measure' : `Surprise ${nats.toFixed(2)} nats`, really(picture, step)]
  }
  const classes = saidClasses(run.readout, trace) !== null
  return [classes ? `After ${here} the network says` : `After ${here} the network expects`, ...saidTip(picture, step)]
}
