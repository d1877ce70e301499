// A training of the page as a run folder: the files that src/gatescope/runs/run.py lists, which Python resumes from.
import { Sha256 } from '../../engine/digest'
import type { Resumption } from '../../engine/training/resumption'
import { toUtf8 } from '../../engine/utf8'
import type { Entry, Score, TaskBundle } from '../data/playground'
import type { Experiment } from './experiment'
import { scoreParts } from './score-text'
import { normalized, partsOf, TEXT_SHARES } from './text-bundle'

const TASK_FORMAT = 1
/** The text of a run, in its folder. */
const TEXT_FILE = 'text.txt'
const MAX_CORPUS_BYTES = 200_000_000

export interface TrainingFiles {
  experiment: Experiment
  bundle: TaskBundle
  network: object
  /** The pasted text of the task “text”. */
  pasted: string
  /** weights.safetensors of the run: the best weights, or the present ones. */
  weights: ArrayBuffer
  /** The weights of earlier training steps, and the present ones at the end. */
  checkpoints: readonly { step: number; weights: ArrayBuffer }[]
  entries: readonly Entry[]
  seconds: number
  /** What Python goes on from after the last checkpoint; null if the training failed. */
  resumption: Resumption | null
  /** Why the training is over, and the sentence about a failure; null if it goes on. */
  end: { reason: string; problem: string | null } | null
}

/** Return the files of a run by their names. */
export function runFolder(training: TrainingFiles): Map<string, Uint8Array> {
  const { resumption, checkpoints, weights, seconds } = training
  const files = new Map<string, Uint8Array>([
    ['network.json', json(training.network)],
    ['task.json', json(taskOf(training))],
    ['training.json', json(settingsOf(training))],
    ['weights.safetensors', new Uint8Array(weights)],
    [
      'history.jsonl',
      toUtf8(
        historyOf(training)
          .map((record) => `${JSON.stringify(record)}\n`)
          .join(''),
      ),
    ],
  ])
  const folder = (step: number): string => `checkpoints/step-${String(step).padStart(8, '0')}`
  for (const { step, weights } of checkpoints) files.set(`${folder(step)}/weights.safetensors`, new Uint8Array(weights))
  if (resumption) {
    const last = folder(resumption.progress.step)
    files.set(`${last}/optimizer.safetensors`, new Uint8Array(resumption.arrays))
    files.set(`${last}/progress.json`, json({ ...resumption.progress, seconds }))
  }
  if (isText(training)) files.set(TEXT_FILE, toUtf8(normalized(training.pasted)))
  return files
}

const json = (value: unknown): Uint8Array => toUtf8(`${JSON.stringify(value, null, 1)}\n`)

const isText = ({ bundle }: TrainingFiles): boolean => bundle.training.kind === 'streams'

/** Return task.json: that of Python for strings, and a task with one file in the run for a text. */
function taskOf(training: TrainingFiles): object {
  const { bundle, experiment } = training
  const { task, title, question, vocabulary, examples, suggested } = bundle
  const batch = experiment.batch ?? suggested.recipe.batch
  const about = { format: TASK_FORMAT, name: task, title, question }
  if (!isText(training)) return { ...about, ...bundle.settings, batch, vocabulary, examples }
  const parts = partsOf(training.pasted)
  const text = toUtf8(normalized(training.pasted))
  return {
    ...about,
    paths: [TEXT_FILE],
    bytes: false,
    parts: TEXT_SHARES,
    batch,
    unroll: suggested.recipe['unroll'],
    largest: MAX_CORPUS_BYTES,
    reading: { encoding: 'utf-8' },
    characters: parts.reduce((sum, { length }) => sum + length, 0),
    sizes: parts.map(({ length }) => length),
    sha256: new Sha256().update(text).hex(),
    files: 1,
    skipped: [],
    vocabulary,
    examples,
  }
}

/** Return training.json: the settings of Python, with the batches of the page. */
function settingsOf({ bundle, experiment }: TrainingFiles): object {
  const { batch, unroll, scores_while_training, ...recipe } = bundle.suggested.recipe
  return {
    ...recipe,
    minutes: null,
    seed: experiment.seed,
    learning_rate: experiment.rate ?? recipe.learning_rate,
    clip: experiment.clip ?? recipe.clip,
    until_solved: false,
    batches: 'page',
  }
}

/** Return the records of history.jsonl. */
function historyOf({ entries, end, seconds }: TrainingFiles): object[] {
  const records: object[] = entries.map((entry) => ({
    step: entry.step,
    symbols: entry.symbols,
    seconds: entry.seconds,
    loss: entry.loss,
    learning_rate: entry.learningRate,
    gradient_norm: entry.gradientNorm,
    ...(entry.validationLoss === undefined ? {} : { validation_loss: entry.validationLoss }),
    ...(entry.typicalLoss === undefined ? {} : { typical_loss: entry.typicalLoss }),
    ...(entry.score ? { score: scoreOf(entry.score) } : {}),
  }))
  if (!end) return records
  const last = entries.at(-1)
  const score = entries.findLast((entry) => entry.score)?.score
  const about = { step: last?.step ?? 0, symbols: last?.symbols ?? 0, seconds, event: 'end', reason: end.reason }
  return [
    ...records,
    {
      ...about,
      ...(end.problem === null ? {} : { problem: end.problem }),
      ...(score ? { score: scoreOf(score) } : {}),
    },
  ]
}

function scoreOf(score: Score): object {
  const { value, chance, solved, better, exact, firstFailure, tried } = score
  const details = { exact, first_failure: firstFailure, tried }
  return { value, chance, solved, text: scoreParts(score).join(' · '), details, better, message: null }
}
