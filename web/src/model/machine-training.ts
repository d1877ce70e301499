// A training on the machine of the server: `gatescope train` with the words of a form, as docs/playground.md describes.
import type { OwnText } from '../data/machine-training'
import { type Experiment, TEXT } from './experiment'

/** What the form has besides the experiment; null for what the task recommends. */
export interface MachineFields {
  neurons: number
  layers: number
  steps: number | null
  /** The name of the new run; empty for a free one. */
  name: string
}

/** The largest values; src/gatescope/explorer/training_words.py has the same. */
export const MACHINE_LIMITS = { neurons: 1024, layers: 8, steps: 100_000_000 } as const
const PASTED = 'text.txt'

/** Return the request for a training, without the content of its text. */
export function trainingRequest(experiment: Experiment, fields: MachineFields, own: OwnText | null): object {
  const { cell, task, rate, batch, clip, seed } = experiment
  const file = task === TEXT ? (own?.file ?? PASTED) : null
  return {
    ...{ task, cell, neurons: fields.neurons, layers: fields.layers, steps: fields.steps },
    ...{ learning_rate: rate, batch, clip, seed, name: fields.name.trim() || null, file },
  }
}

/** Return a pasted text as a file; null if nothing is pasted. */
export const pastedText = (content: string | null): OwnText | null => (content ? { file: PASTED, content } : null)
