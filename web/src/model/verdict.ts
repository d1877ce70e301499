// One sentence about the prediction at a step, or about all steps, beside the targets.
import type { Trace } from '../data/trace'
import { FEW, stepWord } from './descriptions'
import { percent, shortNumber } from './numbers'
import { type NetworkInfo, estimateAt, interval, outputs, type ClassPredictions, sequenceAt } from './predictions'

/** In one sentence: what was said about the sequence of a step, or about all steps, beside what is right. */
export interface Verdict {
  text: string
  /** Null where nobody knows what is right. */
  good: boolean | null
  right: string
}

export function of(right: number, asked: number, unit: string): string {
  return `${right} of ${asked} ${unit}${asked === 1 ? '' : 's'}`
}

export function verdict(
  about: NetworkInfo,
  trace: Trace,
  found: ClassPredictions | null,
  step: number,
): Verdict | null {
  const { readout } = about
  if (!trace.steps || readout.kind === 'symbols') return null
  const last = sequenceAt(trace.start, step).end - 1
  const once = readout.reads === 'last step'
  if (readout.kind === 'classes') {
    if (!found) return null
    const name = (id: number): string => readout.names[id] ?? '?'
    if (once) {
      const said = found.predicted[last]!
      if (said < 0) return null
      const probability = trace.topProbability[last * trace.top]!
      const right = found.targets[last]!
      return {
        text: `said “${name(said)}”, ${percent(probability)}`,
        good: right < 0 ? null : right === said,
        right: right < 0 ? 'what is right is not known of this text' : `right: “${name(right)}”`,
      }
    }
    let asked = 0
    let hit = 0
    found.targets.forEach((right, t) => {
      asked += Number(right >= 0)
      hit += Number(right >= 0 && right === found.predicted[t])
    })
    if (!asked) return { text: 'what is right is not known of this text', good: null, right: '' }
    const unit = about.unit === 'number' ? 'step' : stepWord(about.unit)
    return { text: `said rightly: ${of(hit, asked, unit)}`, good: hit === asked, right: '' }
  }
  return numbersVerdict(about, trace, step, last)
}

function numbersVerdict(about: NetworkInfo, trace: Trace, step: number, last: number): Verdict | null {
  const { readout } = about
  const { estimate, value } = trace
  if (!estimate) return null
  const once = readout.reads === 'last step'
  const all = outputs(about, trace)
  const share = interval(readout)
  if (once || !all.some((output) => output.ahead)) {
    const at = once ? last : step
    const told = all.slice(0, FEW).map((output) => {
      const { low, middle, high } = estimateAt(readout, estimate, at, output.index)
      const right = value ? value.data[at * value.width + output.index]! : NaN
      return { name: output.name, low, middle, high, right }
    })
    if (told.every((one) => Number.isNaN(one.middle))) return null
    const known = told.filter((one) => !Number.isNaN(one.right))
    const band = (one: { low: number; high: number }): string =>
      share === null ? '' : ` (${shortNumber(one.low)} to ${shortNumber(one.high)})`
    return {
      text: `said ${told.map((one) => `${one.name} ${shortNumber(one.middle)}${band(one)}`).join(', ')}`,
      good: null,
      right: known.length
        ? `right: ${known.map((one) => shortNumber(one.right)).join(', ')} · off by ${known.map((one) => shortNumber(Math.abs(one.right - one.middle))).join(', ')}`
        : 'what is right is not known here',
    }
  }
  let came = 0
  let inside = 0
  let off = 0
  for (const output of all) {
    const right = value ? value.data[step * value.width + output.index]! : NaN
    if (Number.isNaN(right)) continue
    const { low, middle, high } = estimateAt(readout, estimate, step, output.index)
    came++
    inside += Number(low <= right && right <= high)
    off += Math.abs(right - middle)
  }
  const horizon = Math.max(...all.map((output) => output.ahead))
  const about_ = `after step ${step}, the next ${horizon}:`
  if (!came) return { text: `${about_} a forecast of what lies behind the end of the text`, good: null, right: '' }
  const held = share === null ? '' : `${inside} of ${came} that came lie within the ${share} % interval · `
  return {
    text: `${about_} ${held}median off by ${shortNumber(off / came)} on average (scaled)`,
    good: null,
    right: '',
  }
}
