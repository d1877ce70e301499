// The header over the strips: its parts follow from what the network reads and predicts.
import type { Run } from '../data/run'
import type { Columns, Trace } from '../data/trace'
import { type Chart, makeCharts, pairChart } from '../model/charts'
import { inWords } from '../model/descriptions'
import { type ClassPredictions, classPredictions, classProbabilities } from '../model/predictions'
import { chooseScale, type Scale } from '../model/scale'
import { type HeaderParts, SYMBOL_HEADER } from './geometry'

/** The contents of the header, except the text itself. */
export interface Header {
  parts: HeaderParts
  charts: Chart[]
  heat: { columns: Columns; names: string[]; scale: Scale } | null
  classes: ClassPredictions | null
  /** The probability of every class after each step, [steps, classes]; null if not all were sent. */
  probabilities: Float32Array | null
  /** Whether the network predicts once, at the end of a sequence. */
  once: boolean
  /** Whether there are no predictions before the end, because a layer reads from there. */
  silent: boolean
  /** Whether the numbers were scaled for the network. */
  scaled: boolean
  /** The number of outputs without a chart. */
  omittedOutputs: number
}

const FORECAST_HEIGHT = 132 // lower if there are several
const INPUT_CURVE_HEIGHT = 40
const OUTPUT_CURVE_HEIGHT = 70 // of an estimate that is no forecast
const MARKS_HEIGHT = 18
const MAX_HEAT_HEIGHT = 130
const MAX_HEAT_ROW_HEIGHT = 9

const PAIR_HEIGHT = 52

type HeaderRun = Pick<Run, 'unit' | 'readout' | 'vocabulary' | 'task'>

/** Whether the input numbers of a network were scaled. */
export function isScaled({ unit, task }: Pick<Run, 'unit' | 'task'>): boolean {
  return unit === 'number' && (task.name === 'forecasting' || task.name === 'tagging')
}

function chartHeight(chart: Chart, forecasts: number): number {
  if (chart.fan.length) return forecasts > 1 ? Math.round(FORECAST_HEIGHT * 0.7) : FORECAST_HEIGHT
  if (chart.marks) return MARKS_HEIGHT
  return chart.isInput ? INPUT_CURVE_HEIGHT : OUTPUT_CURVE_HEIGHT
}

/** Return the header of a trace. */
export function headerOf(about: HeaderRun, trace: Trace): Header {
  const { unit, readout, vocabulary } = about
  const drawn = makeCharts(about, trace)
  const classes = classPredictions(readout, trace)
  const { input } = trace
  const heat =
    drawn.heat && input
      ? {
          columns: input,
          names: vocabulary,
          scale: chooseScale(
            [Array.prototype.every.call(input.data, (value: number) => value >= 0) ? 0 : null, null],
            input.data,
          ),
        }
      : null
  const hasTargets = classes?.targets.some((id) => id >= 0) ?? false
  const everyStep = readout.reads === 'every step'
  const hasProbabilities = readout.kind !== 'numbers'
  const forecasts = drawn.charts.filter((chart) => chart.fan.length).length
  const parts: HeaderParts = {
    ...SYMBOL_HEADER,
    text: unit === 'number' ? 'none' : inWords(unit) ? 'words' : 'characters',
    charts: drawn.charts.map((chart) => chartHeight(chart, forecasts)),
    heat: heat ? Math.min(MAX_HEAT_HEIGHT, MAX_HEAT_ROW_HEIGHT * heat.columns.width) : 0,
    classes: classes ? readout.names : null,
    hasTargets,
    predictions: hasProbabilities,
    surprise: hasProbabilities && everyStep && (readout.kind === 'symbols' || hasTargets),
    ahead: Math.max(0, ...drawn.charts.flatMap((chart) => chart.fan.map((output) => output.ahead))),
  }
  return {
    parts,
    charts: drawn.charts,
    heat,
    classes,
    probabilities: classProbabilities(readout, trace),
    once: !everyStep,
    silent: classes !== null && classes.predicted.some((id, t) => id < 0 && t + 1 < trace.steps),
    scaled: isScaled(about),
    omittedOutputs: drawn.omittedOutputs,
  }
}

/** The losses of two networks over the steps. */
export interface PairLosses {
  name: string
  a: Float32Array
  b: Float32Array
}

/** Return the header of a trace, with two lines in place of the surprise if there are the losses of two networks. */
export function comparedHeader(about: HeaderRun, trace: Trace, losses: PairLosses | null): Header {
  const header = headerOf(about, trace)
  if (!losses) return header
  const { parts, charts } = header
  return {
    ...header,
    charts: [...charts, pairChart(losses.name, losses.a, losses.b)],
    parts: { ...parts, charts: [...parts.charts, PAIR_HEIGHT], surprise: false },
  }
}
