// The lines of the tip over the header of the strips.
import type { Track } from '../data/features'
import type { Spot } from '../draw/geometry'
import { stepWord } from '../model/descriptions'
import { guesses, guessName, really, told } from '../model/guesses'
import { percent, shortNumber } from '../model/numbers'
import type { Picture } from '../model/picture'
import { classPredictions, stepName } from '../model/predictions'

const LISTED = 12

function saidTip(picture: Picture, step: number): string[] {
  if (picture.run.readout.kind === 'numbers')
    return told(picture, step)
      .slice(0, LISTED)
      .map((one) => {
        const band = one.band ? ` (${shortNumber(one.band[0])} to ${shortNumber(one.band[1])})` : ''
        return `${one.name}: ${shortNumber(one.middle)}${band}${Number.isNaN(one.right) ? '' : `, right: ${shortNumber(one.right)}`}`
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
    return [`${run.vocabulary[k] ?? k} = ${shortNumber(trace.input?.data[step * width + k] ?? NaN)}`, `step ${step}`]
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
  const classes = classPredictions(run.readout, trace) !== null
  return [classes ? `After ${here} the network says` : `After ${here} the network expects`, ...saidTip(picture, step)]
}
