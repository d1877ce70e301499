// The parts of the header over the strips: which there are, from what the network reads and predicts.
import type { Run } from '../data/run'
import type { Columns, Trace } from '../data/trace'
import { type HeaderParts, SYMBOL_HEADER } from './geometry'
import { type Chart, makeCharts } from '../model/charts'
import { inWords } from '../model/descriptions'
import { type ClassPredictions, classPredictions, classProbabilities } from '../model/predictions'
import { chooseScale, type Scale } from '../model/scale'

/** Everything over the strips that one text has, but for the text itself. */
export interface Header {
  parts: HeaderParts
  charts: Chart[]
  heat: { columns: Columns; names: string[]; scale: Scale } | null
  classes: ClassPredictions | null
  /** The probability of every class after each step, one step after the other; null where not all were sent. */
  probabilities: Float32Array | null
  /** The network answers once, at the end. */
  once: boolean
  /** It says nothing before the end: it also reads from there. */
  silent: boolean
  /** The numbers are not those of the file: they were scaled for the network. */
  scaled: boolean
  /** Outputs that there was no room for. */
  omittedOutputs: number
}

const FORECAST_HEIGHT = 132 // of a number that is foretold; of several each is lower

const INPUT_CURVE_HEIGHT = 40

const OUTPUT_CURVE_HEIGHT = 70 // of numbers that are not foretold

const MARKS_HEIGHT = 18

const MAX_HEAT_HEIGHT = 130

const MAX_HEAT_ROW_HEIGHT = 9

type HeaderRun = Pick<Run, 'unit' | 'readout' | 'vocabulary' | 'task'>

/** Whether the numbers that a network reads were scaled for it. */
export function isScaled({ unit, task }: Pick<Run, 'unit' | 'task'>): boolean {
  return unit === 'number' && (task.name === 'forecasting' || task.name === 'tagging')
}

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
            [Array.prototype.every.call(input.data, (one: number) => one >= 0) ? 0 : null, null],
            input.data,
          ),
        }
      : null
  const hasTargets = classes?.targets.some((id) => id >= 0) ?? false
  const everyStep = readout.reads === 'every step'
  const hasProbabilities = readout.kind !== 'numbers'
  const forecasts = drawn.charts.filter((one) => one.fan.length).length
  const parts: HeaderParts = {
    ...SYMBOL_HEADER,
    text: unit === 'number' ? 'none' : inWords(unit) ? 'words' : 'characters',
    charts: drawn.charts.map((one) =>
      one.fan.length
        ? forecasts > 1
          ? Math.round(FORECAST_HEIGHT * 0.7)
          : FORECAST_HEIGHT
        : one.marks
          ? MARKS_HEIGHT
          : one.isInput
            ? INPUT_CURVE_HEIGHT
            : OUTPUT_CURVE_HEIGHT,
    ),
    heat: heat ? Math.min(MAX_HEAT_HEIGHT, MAX_HEAT_ROW_HEIGHT * heat.columns.width) : 0,
    classes: classes ? readout.names : null,
    hasTargets,
    predictions: hasProbabilities,
    surprise: hasProbabilities && everyStep && (readout.kind === 'symbols' || hasTargets),
    ahead: Math.max(0, ...drawn.charts.flatMap((one) => one.fan.map((output) => output.ahead))),
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
