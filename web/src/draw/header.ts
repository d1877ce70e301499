// The parts of the header over the strips: which there are, from what the network reads and predicts.
import type { Run } from '../data/run'
import type { Columns, Trace } from '../data/trace'
import { type Head, SYMBOLS_HEAD } from './geometry'
import { type Chart, charts } from '../model/charts'
import { inWords } from '../model/descriptions'
import { type Said, saidClasses, shares } from '../model/predictions'
import { chooseScale, type Scale } from '../model/scale'

/** Everything over the strips that one text has, but for the text itself. */
export interface Above {
  head: Head
  charts: Chart[]
  heat: { columns: Columns; names: string[]; scale: Scale } | null
  said: Said | null
  /** The probability of every class after each step, one step after the other; null where not all were sent. */
  shares: Float32Array | null
  /** The network answers once, at the end. */
  once: boolean
  /** It says nothing before the end: it also reads from there. */
  silent: boolean
  /** The numbers are not those of the file: they were scaled for the network. */
  scaled: boolean
  /** Outputs that there was no room for. */
  more: number
}

const TALL = 132 // of a number that is foretold; of several each is lower

const CURVE = 40

const OWN = 70 // of numbers that are not foretold

const MARKS = 18

const HEAT = 130

const MOST_ROW = 9

type About = Pick<Run, 'unit' | 'readout' | 'vocabulary' | 'task'>

/** Whether the numbers that a network reads were scaled for it. */
export function scaled({ unit, task }: Pick<Run, 'unit' | 'task'>): boolean {
  return unit === 'number' && (task.name === 'forecasting' || task.name === 'tagging')
}

export function above(about: About, trace: Trace): Above {
  const { unit, readout, vocabulary } = about
  const drawn = charts(about, trace)
  const said = saidClasses(readout, trace)
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
  const right = said?.right.some((id) => id >= 0) ?? false
  const each = readout.reads === 'every step'
  const told = readout.kind !== 'numbers'
  const foretold = drawn.charts.filter((one) => one.fan.length).length
  const head: Head = {
    ...SYMBOLS_HEAD,
    text: unit === 'number' ? 'none' : inWords(unit) ? 'words' : 'characters',
    charts: drawn.charts.map((one) =>
      one.fan.length ? (foretold > 1 ? Math.round(TALL * 0.7) : TALL) : one.marks ? MARKS : one.read ? CURVE : OWN,
    ),
    heat: heat ? Math.min(HEAT, MOST_ROW * heat.columns.width) : 0,
    classes: said ? readout.names : null,
    right,
    predictions: told,
    surprise: told && each && (readout.kind === 'symbols' || right),
    ahead: Math.max(0, ...drawn.charts.flatMap((one) => one.fan.map((output) => output.ahead))),
  }
  return {
    head,
    charts: drawn.charts,
    heat,
    said,
    shares: shares(readout, trace),
    once: !each,
    silent: said !== null && said.said.some((id, t) => id < 0 && t + 1 < trace.steps),
    scaled: scaled(about),
    more: drawn.more,
  }
}
