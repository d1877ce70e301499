// Curves of numbers over the steps: the values that were read, the targets, and the estimates.
import type { Readout } from '../data/run'
import { column, type Trace } from '../data/trace'
import { type NetworkInfo, type Estimate, estimateAt, type Output, outputs } from './predictions'

/** A curve over the steps: what was read or asked for, and what was estimated of it. */
export interface Chart {
  name: string
  /** Whether `values` were read (or else: should have been said). */
  isInput: boolean
  values: Float32Array
  /** There is a value at some step. */
  hasValues: boolean
  /** Only zeros and ones: drawn as marks. */
  marks: boolean
  /** One estimate a step, drawn where it belongs: the first one ahead, or that of this step. */
  estimates: { shift: number; low: Float32Array; middle: Float32Array; high: Float32Array } | null
  /** The outputs that foretell it, nearest first. */
  fan: Output[]
  low: number
  high: number
}

export interface Charts {
  charts: Chart[]
  /** Numbers that are too many for curves: a heat strip, with the number of rows. */
  heat: boolean
  /** Outputs that are not drawn. */
  omittedOutputs: number
}

const MAX_CURVES = 6

/** Round ends around some values; those beyond are cut off at the edge of the chart. */
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

/** The middle nine tenths of what was estimated: one wild estimate must not flatten the curve. */
function middleRange(values: Float32Array): number[] {
  const finite = values.filter((value) => Number.isFinite(value)).sort()
  return finite.length ? [finite[Math.floor(finite.length * 0.05)]!, finite[Math.ceil(finite.length * 0.95) - 1]!] : []
}

function estimatesOverSteps(readout: Readout, trace: Trace, output: Output): NonNullable<Chart['estimates']> {
  const overSteps = (read: (estimate: Estimate) => number): Float32Array =>
    Float32Array.from({ length: trace.steps }, (_, t) => read(estimateAt(readout, trace.estimate!, t, output.index)))
  return {
    shift: output.ahead,
    low: overSteps((one) => one.low),
    middle: overSteps((one) => one.middle),
    high: overSteps((one) => one.high),
  }
}

function makeChart(
  name: string,
  isInput: boolean,
  values: Float32Array,
  estimates: Chart['estimates'],
  fan: Output[],
): Chart {
  const marks = isInput && !estimates && values.length > 0 && values.every((value) => value === 0 || value === 1)
  const finite = [...values.filter((value) => Number.isFinite(value))]
  const [low, high] = marks
    ? [0, 1]
    : roundEnds([...finite, ...(estimates ? [...middleRange(estimates.low), ...middleRange(estimates.high)] : [])])
  return { name, isInput, values, hasValues: finite.length > 0, marks, estimates, fan, low, high }
}

/** Curves of what was read, and of what was estimated, as far as there is room for them. */
export function makeCharts(about: NetworkInfo, trace: Trace): Charts {
  const { readout, vocabulary } = about
  const all = outputs(about, trace)
  const { input, value, estimate } = trace
  const drawn: Chart[] = []
  const width = input?.width ?? 0
  const heat = width > MAX_CURVES
  for (let k = 0; k < width; k++) {
    const fan = all.filter((output) => output.input === k).sort((a, b) => a.ahead - b.ahead)
    if (heat && !fan.length) continue
    const estimates = fan[0] && estimate ? estimatesOverSteps(readout, trace, fan[0]) : null
    drawn.push(makeChart(vocabulary[k] ?? String(k), true, column(input!, k), estimates, fan))
  }
  const outputsAlone = estimate ? all.filter((output) => output.input === null) : []
  for (const output of outputsAlone.slice(0, MAX_CURVES)) {
    const targets = value ? column(value, output.index) : new Float32Array(trace.steps).fill(NaN)
    if (readout.reads === 'last step')
      for (let t = trace.steps - 2; t >= 0; t--)
        if (!trace.start[t + 1] && Number.isNaN(targets[t]!)) targets[t] = targets[t + 1]!
    drawn.push(makeChart(output.name, false, targets, estimatesOverSteps(readout, trace, { ...output, ahead: 0 }), []))
  }
  return { charts: drawn, heat, omittedOutputs: Math.max(0, outputsAlone.length - MAX_CURVES) }
}
