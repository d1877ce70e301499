// The lines of the tip over the header of the strips.
import type { Track } from '../data/features'
import type { Spot } from '../draw/geometry'
import { text } from '../messages/text'
import { stepsName, unitName } from '../model/descriptions'
import { estimatesAt, guessesAt, guessName, outcomeText } from '../model/guesses'
import { percent, shortNumber } from '../model/numbers'
import type { Picture } from '../model/picture'
import { classPredictions, stepName } from '../model/predictions'

const MAX_ESTIMATES = 12

function predictionLines(picture: Picture, step: number): string[] {
  if (picture.run.readout.kind === 'numbers')
    return estimatesAt(picture, step)
      .slice(0, MAX_ESTIMATES)
      .map(({ name, middle, interval, target }) => {
        const value = shortNumber(middle)
        const estimate = interval
          ? text('TIP_ESTIMATE_INTERVAL', {
              name,
              value,
              low: shortNumber(interval[0]),
              high: shortNumber(interval[1]),
            })
          : text('TIP_ESTIMATE', { name, value })
        return Number.isNaN(target) ? estimate : text('TIP_ESTIMATE_TARGET', { estimate, target: shortNumber(target) })
      })
  const { guesses } = guessesAt(picture, step)
  if (!guesses.length) return [text('TIP_NO_PREDICTION'), outcomeText(picture, step)]
  const lines = guesses.map(({ label, probability }) =>
    text('TIP_GUESS', { name: guessName(picture, label), probability: percent(probability) }),
  )
  return [...lines, outcomeText(picture, step)]
}

function rulerLines({ run, trace }: Picture, step: number): string[] {
  const unknown = (trace.token[step] ?? 0) >= run.vocabulary.length
  return [
    text('TIP_STEP', { step, name: stepName(run, trace, step) }),
    ...(unknown ? [text('TIP_UNKNOWN', { unit: unitName(run.unit) })] : []),
    text('TIP_DRAG', { units: stepsName(run.unit) }),
  ]
}

function heatLines({ run, trace }: Picture, step: number, share: number): string[] {
  const width = trace.input?.width ?? 0
  const k = Math.min(width - 1, Math.floor(share * width))
  const value = shortNumber(trace.input?.data[step * width + k] ?? NaN)
  return [text('TIP_HEAT', { name: run.vocabulary[k] ?? k, value }), text('TIP_STEP_PLAIN', { step })]
}

function featureValue(track: Track, step: number): string {
  const value = track.values[step] ?? NaN
  if (track.kind === 'binary') return value ? text('TIP_FEATURE_YES') : text('TIP_FEATURE_NO')
  return Number.isNaN(value) ? text('TIP_FEATURE_UNKNOWN') : String(value)
}

/** Return the lines about a spot of the header; null if there is nothing to explain. */
export function headerTip(picture: Picture, spot: Spot, track: Track | null): string[] | null {
  if (!('step' in spot)) return null
  const { step } = spot
  const { run, trace } = picture
  const name = stepName(run, trace, step)
  if (spot.part === 'ruler') return rulerLines(picture, step)
  if (spot.part === 'heat') return heatLines(picture, step, spot.share)
  if (spot.part === 'chart') return [text('TIP_STEP', { step, name }), ...predictionLines(picture, step)]
  if (spot.part === 'track') {
    if (!track) return [text('TIP_FEATURE_ABSENT')]
    return [track.title, text('TIP_FEATURE', { step, name, value: featureValue(track, step) }), track.name]
  }
  if (spot.part === 'surprise') {
    const nats = -(trace.logProbability[step] ?? NaN)
    const surprise = Number.isNaN(nats) ? text('TIP_NO_SURPRISE') : text('TIP_SURPRISE', { nats: nats.toFixed(2) })
    return [surprise, outcomeText(picture, step)]
  }
  const classes = classPredictions(run.readout, trace) !== null
  const title = classes ? text('TIP_AFTER_CLASS', { name }) : text('TIP_AFTER_SYMBOL', { name })
  return [title, ...predictionLines(picture, step)]
}
