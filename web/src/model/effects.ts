// The change of the loss without each neuron.
import { rows, type Table } from '../data/study'

export interface Effect {
  change: number
  low: number | null
  high: number | null
}

/** Return the change of the loss without each neuron, by "layer neuron". */
export function effects(table: Table): Map<string, Effect> {
  const effectOfNeuron = new Map<string, Effect>()
  for (const row of rows(table))
    if (row['feature'] === '' && typeof row['on'] === 'number')
      effectOfNeuron.set(`${row['layer']} ${row['neuron']}`, {
        change: row['on'],
        low: row['on_low'] as number | null,
        high: row['on_high'] as number | null,
      })
  return effectOfNeuron
}
