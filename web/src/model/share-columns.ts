// The columns of a shared table: the steps with their symbols and predictions, and the signals.
import type { Run } from '../data/run'
import type { Trace } from '../data/trace'
import type { Range } from '../data/view'
import type { CsvColumn, CsvValue } from './csv'
import { predictionLabels } from './characters'

/** Larger tables are offered for a range only. */
export const MAX_TABLE_VALUES = 5_000_000

/** Return a column of the values of a range of steps. */
export function stepColumn(name: string, { first, last }: Range, value: (step: number) => CsvValue): CsvColumn {
  return { name, length: Math.max(0, last + 1 - first), value: (row) => value(first + row) }
}

/** Return the columns that describe the steps of a range: sequence, step, what was read, and what was predicted. */
export function stepColumns(run: Run, trace: Trace, steps: Range): CsvColumn[] {
  const sequence = new Int32Array(trace.steps)
  const step = new Int32Array(trace.steps)
  for (let t = 0; t < trace.steps; t++) {
    const begins = t === 0 || trace.start[t] === 1
    sequence[t] = t === 0 ? 0 : sequence[t - 1]! + Number(begins)
    step[t] = begins ? 0 : step[t - 1]! + 1
  }
  const column = (name: string, value: (t: number) => CsvValue): CsvColumn => stepColumn(name, steps, value)
  const columns = [column('sequence', (t) => sequence[t]!), column('step', (t) => step[t]!)]
  const { input, estimate, top } = trace
  if (input)
    for (let k = 0; k < input.width; k++)
      columns.push(column(`input.${run.vocabulary[k] ?? k}`, (t) => input.data[t * input.width + k]!))
  else columns.push(column('symbol', (t) => trace.labels[t]!))
  if (estimate) {
    for (let k = 0; k < estimate.width; k++)
      columns.push(column(`estimate.${k}`, (t) => estimate.data[t * estimate.width + k]!))
  } else if (top) {
    const names = predictionLabels(run)
    columns.push(
      column('log_probability', (t) => trace.logProbability[t]!),
      column('predicted', (t) => names[trace.topToken[t * top]!] ?? null),
      column('predicted_probability', (t) => trace.topProbability[t * top]!),
    )
  }
  return columns
}

/** Return a column for each neuron of some signals of a layer. */
export function signalColumns(trace: Trace, layer: string, signals: readonly string[], steps: Range): CsvColumn[] {
  return signals.flatMap((signal) => {
    const name = `${layer}.${signal}`
    return Array.from({ length: trace.rows(name) }, (_, neuron) => {
      const row = trace.row(name, neuron)!
      return stepColumn(`${name}.${neuron}`, steps, (t) => row[t]!)
    })
  })
}
