// The change of the loss without each neuron.
import { rows, type Table } from '../data/study'

export interface Effect {
  change: number
  low: number | null
  high: number | null
  /** The mean over the recorded data at which a signal of the neuron was held; null if it was held elsewhere. */
  mean: { signal: string; value: number } | null
}

/** Return the change of the loss without each neuron, by "layer neuron". */
export function effects(table: Table): Map<string, Effect> {
  const effectOfNeuron = new Map<string, Effect>()
  const { to, signal } = table.about
  for (const row of rows(table))
    if (row['feature'] === '' && typeof row['on'] === 'number')
      effectOfNeuron.set(`${row['layer']} ${row['neuron']}`, {
        change: row['on'],
        low: row['on_low'] as number | null,
        high: row['on_high'] as number | null,
        mean: to === 'mean' && typeof row['held'] === 'number' ? { signal: String(signal), value: row['held'] } : null,
      })
  return effectOfNeuron
}
