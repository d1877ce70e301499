// The settings of a training, and what follows from them: the learning rate of an update, and when to validate.
// The twin of src/gatescope/training/settings.py.
import { EngineError, shown } from '../errors'

export interface Recipe {
  /** The most updates. */
  steps: number
  /** Sequences of a batch, or streams of a text. */
  batch: number
  /** Steps of a stream in a batch; null for strings. */
  unroll: number | null
  /** The largest learning rate. */
  learningRate: number
  /** The learning rate at the end, as a fraction of the largest. */
  finalLearningRate: number
  schedule: 'cosine' | 'linear' | 'constant'
  /** Updates over which the learning rate rises to its largest value. */
  warmup: number
  /** The norm to which larger gradients are scaled down. */
  clip: number
  /** Weight decay of the readout, as a fraction of the learning rate. */
  readoutDecay: number
  /** Updates between two records of the training loss. */
  reportEvery: number
  /** Updates between two validations; the first ones come earlier, at 100, 200, 400, ... */
  validateEvery: number
  /** Validations in a row without an improvement after which training stops; null: never. */
  patience: number | null
  /** Whether to stop as soon as the task is solved at two scores in a row. */
  untilSolved: boolean
  /** Whether each validation has a score. */
  scoresWhileTraining: boolean
}

const SCHEDULES = ['cosine', 'linear', 'constant']
const FIRST_VALIDATION_STEP = 100

const isCount = (value: unknown): boolean => Number.isInteger(value) && (value as number) > 0
const isPositive = (value: unknown): boolean => Number.isFinite(value) && (value as number) > 0
const isShare = (value: unknown): boolean => Number.isFinite(value) && (value as number) >= 0 && (value as number) <= 1
const isBoolean = (value: unknown): boolean => typeof value === 'boolean'

/** Setting -> its name in the bundle, and the check of its value. */
const FIELDS: Record<keyof Recipe, [string, (value: unknown) => boolean]> = {
  steps: ['steps', isCount],
  batch: ['batch', isCount],
  unroll: ['unroll', (value) => value === null || isCount(value)],
  learningRate: ['learning_rate', isPositive],
  finalLearningRate: ['final_learning_rate', isShare],
  schedule: ['schedule', (value) => SCHEDULES.includes(value as string)],
  warmup: ['warmup', (value) => value === 0 || isCount(value)],
  clip: ['clip', isPositive],
  readoutDecay: ['readout_decay', (value) => value === 0 || isPositive(value)],
  reportEvery: ['report_every', isCount],
  validateEvery: ['validate_every', isCount],
  patience: ['patience', (value) => value === null || isCount(value)],
  untilSolved: ['until_solved', isBoolean],
  scoresWhileTraining: ['scores_while_training', isBoolean],
}

/** Refuse a setting that is out of its range. */
export function checkRecipe(recipe: Recipe): Recipe {
  for (const [name, [, check]] of Object.entries(FIELDS)) {
    const value = recipe[name as keyof Recipe]
    if (!check(value)) throw new EngineError('RECIPE_SETTING_INVALID', { name, value: shown(value) })
  }
  if (recipe.readoutDecay * recipe.learningRate >= 1)
    throw new EngineError('RECIPE_SETTING_INVALID', { name: 'readoutDecay', value: recipe.readoutDecay })
  return recipe
}

/** Return the recipe of a bundle. Throws an EngineError for a setting that this engine does not have. */
export function readRecipe(json: unknown): Recipe {
  if (typeof json !== 'object' || json === null) throw new EngineError('BUNDLE_INVALID', { part: 'recipe' })
  const data = json as Record<string, unknown>
  if (data['optimizer'] !== 'adam')
    throw new EngineError('RECIPE_OPTIMIZER_UNKNOWN', { optimizer: shown(data['optimizer']) })
  const values = Object.entries(FIELDS).map(([name, [key]]) => [name, data[key]])
  return checkRecipe(Object.fromEntries(values) as Recipe)
}

/** Return the learning rate of an update; updates count from 0. */
export function learningRateAt(recipe: Recipe, step: number): number {
  const fraction = Math.min(1, step / recipe.steps)
  const shapes = { cosine: (1 + Math.cos(Math.PI * fraction)) / 2, linear: 1 - fraction, constant: 1 }
  const share = recipe.finalLearningRate + (1 - recipe.finalLearningRate) * shapes[recipe.schedule]
  return recipe.learningRate * share * Math.min(1, (step + 1) / Math.max(1, recipe.warmup))
}

/** Return whether there is a validation after this number of updates. */
export function validatesAt({ steps, validateEvery }: Recipe, step: number): boolean {
  const early = Math.floor(step / FIRST_VALIDATION_STEP)
  const isEarly = step < validateEvery && step % FIRST_VALIDATION_STEP === 0 && (early & (early - 1)) === 0
  return step >= steps || step % validateEvery === 0 || isEarly
}
