// Curves of numbers over the steps: the values that were read, the targets, and the estimates.
import type { Readout } from '../data/run'
import { column, type Trace } from '../data/trace'
import { type NetworkInfo, type Estimate, estimateAt, type Output, outputs } from './predictions'

/** A curve over the steps: input or target values, and the estimates of them. */
export interface Chart {
  name: string
  /** The number of the input that is drawn; null for a target. */
  input: number | null
  /** Whether `values` are inputs; otherwise they are targets. */
  isInput: boolean
  values: Float32Array
  /** Whether any value is known. */
  hasValues: boolean
  /** Whether all values are 0 or 1, drawn as marks. */
  marks: boolean
  /** One estimate per step, drawn `shift` steps later: the nearest forecast, or the estimate of the step itself. */
  estimates: { shift: number; low: Float32Array; middle: Float32Array; high: Float32Array } | null
  /** The outputs that forecast it, the nearest first. */
  fan: Output[]
  /** Whether the values and the estimates are those of two networks, A and B. */
  isPair?: boolean
  low: number
  high: number
}

export interface Charts {
  charts: Chart[]
  /** Whether there are too many input numbers for curves. */
  heat: boolean
  /** The number of outputs that are not drawn. */
  omittedOutputs: number
}

const MAX_CURVES = 6

/** Return round ends of an axis that covers some values. */
export function roundEnds(values: Iterable<number>): [number, number] {
  let low = Infinity
  let high = -Infinity
  for (const value of values) {
    if (value < low) low = value
    if (value > high) high = value
  }
  if (low > high) return [0, 1]
  if (low === high) [low, high] = [Math.min(0, low), Math.max(low === 0 ? 1 : 0, high)]
  const unit = 10 ** Math.floor(Math.log10(high - low)) / 2
  const clean = (value: number): number => Number(value.toPrecision(6))
  return [clean(Math.floor(low / unit) * unit), clean(Math.ceil(high / unit) * unit)]
}

/** Return the ends of the middle nine tenths: one extreme estimate must not flatten the curve. */
function middleRange(values: Float32Array): number[] {
  const finite = values.filter((value) => Number.isFinite(value)).sort()
  return finite.length ? [finite[Math.floor(finite.length * 0.05)]!, finite[Math.ceil(finite.length * 0.95) - 1]!] : []
}

function estimatesOverSteps(readout: Readout, trace: Trace, output: Output): NonNullable<Chart['estimates']> {
  const overSteps = (read: (estimate: Estimate) => number): Float32Array =>
    Float32Array.from({ length: trace.steps }, (_, t) => read(estimateAt(readout, trace.estimate!, t, output.index)))
  return {
    shift: output.ahead,
    low: overSteps(({ low }) => low),
    middle: overSteps(({ middle }) => middle),
    high: overSteps(({ high }) => high),
  }
}

/** Return the chart of the values of two networks, on an axis from 0. */
export function pairChart(name: string, a: Float32Array, b: Float32Array): Chart {
  const [low, high] = roundEnds([0, ...a, ...b].filter(Number.isFinite))
  const estimates = { shift: 0, low: b, middle: b, high: b }
  return {
    name,
    isInput: true,
    input: null,
    values: a,
    hasValues: true,
    marks: false,
    estimates,
    fan: [],
    isPair: true,
    low,
    high,
  }
}

function makeChart(
  name: string,
  input: number | null,
  values: Float32Array,
  estimates: Chart['estimates'],
  fan: Output[],
): Chart {
  const isInput = input !== null
  const marks = isInput && !estimates && values.length > 0 && values.every((value) => value === 0 || value === 1)
  const finite = [...values.filter((value) => Number.isFinite(value))]
  const [low, high] = marks
    ? [0, 1]
    : roundEnds([...finite, ...(estimates ? [...middleRange(estimates.low), ...middleRange(estimates.high)] : [])])
  return { name, input, isInput, values, hasValues: finite.length > 0, marks, estimates, fan, low, high }
}

/** Return the curves of inputs and of estimates, up to a maximum of each. */
export function makeCharts(network: NetworkInfo, trace: Trace): Charts {
  const { readout, vocabulary } = network
  const allOutputs = outputs(network, trace)
  const { input, value, estimate } = trace
  const drawn: Chart[] = []
  const width = input?.width ?? 0
  const heat = width > MAX_CURVES
  for (let k = 0; k < width; k++) {
    const fan = allOutputs.filter((output) => output.input === k).sort((a, b) => a.ahead - b.ahead)
    if (heat && !fan.length) continue
    const estimates = fan[0] && estimate ? estimatesOverSteps(readout, trace, fan[0]) : null
    drawn.push(makeChart(vocabulary[k] ?? String(k), k, column(input!, k), estimates, fan))
  }
  const outputsAlone = estimate ? allOutputs.filter((output) => output.input === null) : []
  for (const output of outputsAlone.slice(0, MAX_CURVES)) {
    const targets = value ? column(value, output.index) : new Float32Array(trace.steps).fill(NaN)
    if (readout.reads === 'last step')
      for (let t = trace.steps - 2; t >= 0; t--)
        if (!trace.start[t + 1] && Number.isNaN(targets[t]!)) targets[t] = targets[t + 1]!
    drawn.push(makeChart(output.name, null, targets, estimatesOverSteps(readout, trace, { ...output, ahead: 0 }), []))
  }
  return { charts: drawn, heat, omittedOutputs: Math.max(0, outputsAlone.length - MAX_CURVES) }
}
