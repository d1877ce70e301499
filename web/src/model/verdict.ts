// One sentence about the prediction at a step, or about those of all steps, beside the targets.
import type { Unit } from '../data/run'
import type { Trace } from '../data/trace'
import { type Code, text } from '../messages/text'
import { MAX_NAMED_OUTPUTS } from './descriptions'
import { percent, shortNumber } from './numbers'
import { type ClassPredictions, estimateAt, interval, type NetworkInfo, outputs, sequenceAt } from './predictions'

export interface Verdict {
  text: string
  /** Null if the target is unknown. */
  correct: boolean | null
  target: string
}

const CORRECT: Record<Unit, Code> = {
  character: 'VERDICT_CORRECT_CHARACTER',
  byte: 'VERDICT_CORRECT_CHARACTER',
  word: 'VERDICT_CORRECT_WORD',
  token: 'VERDICT_CORRECT_TOKEN',
  number: 'VERDICT_CORRECT_STEP',
}

/** Return the verdict on a step of a trace; null for networks that predict symbols and where there is no prediction. */
export function verdict(
  network: NetworkInfo,
  trace: Trace,
  classes: ClassPredictions | null,
  step: number,
): Verdict | null {
  const { readout } = network
  if (!trace.steps || readout.kind === 'symbols') return null
  const last = sequenceAt(trace.start, step).end - 1
  if (readout.kind === 'numbers') return numbersVerdict(network, trace, step, last)
  if (!classes) return null
  return readout.reads === 'last step' ? classVerdict(trace, classes, last) : classesVerdict(network.unit, classes)
}

/** The verdict on the one class of a sequence whose last step is `last`. */
function classVerdict(trace: Trace, { names, predicted, targets }: ClassPredictions, last: number): Verdict | null {
  const name = (id: number): string => names[id] ?? '?'
  const [prediction, target] = [predicted[last]!, targets[last]!]
  if (prediction < 0) return null
  const probability = percent(trace.topProbability[last * trace.top]!)
  return {
    text: text('VERDICT_CLASS', { name: name(prediction), probability }),
    correct: target < 0 ? null : target === prediction,
    target: target < 0 ? text('VERDICT_TARGET_UNKNOWN') : text('VERDICT_TARGET', { name: name(target) }),
  }
}

/** The verdict on the classes of all steps. */
function classesVerdict(unit: Unit, { predicted, targets }: ClassPredictions): Verdict {
  let count = 0
  let correct = 0
  targets.forEach((target, t) => {
    count += Number(target >= 0)
    correct += Number(target >= 0 && target === predicted[t])
  })
  if (!count) return { text: text('VERDICT_TARGETS_UNKNOWN'), correct: null, target: '' }
  return { text: text(CORRECT[unit], { correct, count }), correct: correct === count, target: '' }
}

function numbersVerdict(network: NetworkInfo, trace: Trace, step: number, last: number): Verdict | null {
  const once = network.readout.reads === 'last step'
  if (!trace.estimate) return null
  const isForecast = outputs(network, trace).some((output) => output.ahead)
  return once || !isForecast
    ? estimatesVerdict(network, trace, once ? last : step)
    : forecastVerdict(network, trace, step)
}

/** The verdict on the first estimates of a step. */
function estimatesVerdict(network: NetworkInfo, trace: Trace, step: number): Verdict | null {
  const { readout } = network
  const { value } = trace
  const estimates = outputs(network, trace)
    .slice(0, MAX_NAMED_OUTPUTS)
    .map(({ name, index }) => {
      const target = value ? value.data[step * value.width + index]! : NaN
      return { name, target, ...estimateAt(readout, trace.estimate!, step, index) }
    })
  if (estimates.every(({ middle }) => Number.isNaN(middle))) return null
  const known = estimates.filter(({ target }) => !Number.isNaN(target))
  const named = estimates.map(({ name, low, middle, high }) => {
    const estimate = text('VERDICT_ESTIMATE', { name, value: shortNumber(middle) })
    if (interval(readout) === null) return estimate
    return text('VERDICT_INTERVAL', { estimate, low: shortNumber(low), high: shortNumber(high) })
  })
  const targets = known.map(({ target }) => shortNumber(target)).join(text('LIST_NAMES'))
  const errors = known.map(({ target, middle }) => shortNumber(Math.abs(target - middle))).join(text('LIST_NAMES'))
  return {
    text: text('VERDICT_ESTIMATES', { estimates: named.join(text('LIST_NAMES')) }),
    correct: null,
    target: known.length ? text('VERDICT_ERRORS', { targets, errors }) : text('VERDICT_TARGET_UNKNOWN_HERE'),
  }
}

/** The verdict on the forecast after a step: the error of its medians, and the share inside the interval. */
function forecastVerdict(network: NetworkInfo, trace: Trace, step: number): Verdict {
  const { readout } = network
  const { value } = trace
  let count = 0
  let inside = 0
  let error = 0
  for (const { index } of outputs(network, trace)) {
    const target = value ? value.data[step * value.width + index]! : NaN
    if (Number.isNaN(target)) continue
    const { low, middle, high } = estimateAt(readout, trace.estimate!, step, index)
    count++
    inside += Number(low <= target && target <= high)
    error += Math.abs(target - middle)
  }
  const horizon = Math.max(...outputs(network, trace).map((output) => output.ahead))
  const share = interval(readout)
  const mean = shortNumber(error / count)
  const sentence = !count
    ? text('VERDICT_FORECAST_BEYOND', { step, horizon })
    : share === null
      ? text('VERDICT_FORECAST', { step, horizon, error: mean })
      : text('VERDICT_FORECAST_INTERVAL', { step, horizon, inside, count, share, error: mean })
  return { text: sentence, correct: null, target: '' }
}
