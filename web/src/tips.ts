// What is said about the predictions and the text when the pointer is over them.
import type { Picture } from './explorer.svelte'
import type { Spot } from './geometry'
import { named, symbolLabels } from './glyphs'
import type { Track } from './tracks'
import { percent } from './words'

export interface Guess {
  label: string
  probability: number
}

/** The likeliest next symbols after one step, and what really came with its probability (null at the end of a sequence). */
export function guesses(picture: Picture, step: number): { list: Guess[]; came: Guess | null } {
  const { trace, run } = picture
  const list: Guess[] = []
  for (let k = step * trace.top; k < (step + 1) * trace.top; k++) {
    const probability = trace.topProbability[k]!
    if (probability > 0) list.push({ label: symbolLabels(run.vocabulary)[trace.topToken[k]!] ?? '?', probability })
  }
  const log = trace.logProbability[step]!
  const next = trace.labels[step + 1]
  const came =
    Number.isNaN(log) || next === undefined || trace.start[step + 1]
      ? null
      : { label: next, probability: Math.exp(log) }
  return { list, came }
}

/** What came after a step, in words. */
export function really(picture: Picture, step: number): string {
  const { trace } = picture
  const { came } = guesses(picture, step)
  if (came) return `really came: ${named(came.label)}, ${percent(came.probability)}`
  const next = trace.labels[step + 1]
  if (next === undefined) return 'the text ends here'
  if (trace.start[step + 1]) return 'the sequence ends here; the next one starts afresh'
  return `really came: ${named(next)}, which it does not know`
}

export function headTip(picture: Picture, spot: Spot, shown: Track | null): string[] | null {
  if (!('step' in spot)) return null
  const { step } = spot
  const here = named(picture.trace.labels[step] ?? '')
  const { list, came } = guesses(picture, step)
  if (spot.part === 'ruler') {
    const strange = (picture.trace.token[step] ?? 0) >= picture.run.vocabulary.length
    return [
      `Step ${step}: ${here}`,
      ...(strange ? ['the network does not know this character'] : []),
      'drag to choose characters',
    ]
  }
  if (spot.part === 'track') {
    const track = shown
    if (!track) return ['This text has no such feature']
    const value = track.values[step] ?? NaN
    const said = track.kind === 'binary' ? (value ? 'yes' : 'no') : Number.isNaN(value) ? 'not told' : String(value)
    return [track.title, `step ${step}, ${here}: ${said}`, track.name]
  }
  if (spot.part === 'surprise') {
    const nats = -(picture.trace.logProbability[step] ?? NaN)
    return [came ? `Surprise ${nats.toFixed(2)} nats` : 'No surprise to measure', really(picture, step)]
  }
  return [
    `After ${here} the network expects`,
    ...list.map((one) => `${named(one.label)}  ${percent(one.probability)}`),
    really(picture, step),
  ]
}
