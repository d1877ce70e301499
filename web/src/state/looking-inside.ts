// A network that was trained in the page becomes a run, which every page shows.
import type { TrainedRun } from '../data/live-data'
import { summaryOf } from '../data/local-source'
import { PAGE_RUN, type Run } from '../data/run'
import { START } from '../data/view'
import { experimentText } from '../model/experiment'
import { scoreParts } from '../model/score-text'
import type { Explorer } from './explorer.svelte'
import type { Playground } from './playground.svelte'
import type { Remembers } from './remembering.svelte'

/** The weights of all checkpoints of a run together. */
const MAX_CHECKPOINT_BYTES = 32 << 20

/** Pause the training, make its network a run, and return the name of the run; null if there is no network yet. */
export async function keepAsRun(explorer: Explorer, playground: Playground): Promise<string | null> {
  const trained = await trainedRun(playground)
  if (!trained) return null
  await explorer.source.playground!.addRun(trained)
  explorer.loader.addTrained(summaryOf(trained.run))
  return trained.run.name
}

/** Show the strips of the network of the playground; at a neuron, if one is given. */
export async function lookInside(
  explorer: Explorer,
  playground: Playground,
  found: Remembers | null = null,
): Promise<void> {
  const run = await keepAsRun(explorer, playground)
  const { text, layer, signal } = playground.sight
  const place = found ? { layer: found.layer.name, signal: found.signal.name, neuron: found.neuron } : { layer, signal }
  if (run !== null) explorer.go({ ...START, view: 'network', run, text, ...place })
}

/** Return the best weights, or the present ones before the first validation, and as many checkpoints as fit. */
export async function weightsOf(playground: Playground): Promise<Pick<TrainedRun, 'weights' | 'checkpoints'>> {
  const { checkpoints } = playground.progress!
  const weights = await playground.ask((training) => training.weights(playground.bestWeights))
  // Every checkpoint is as large as the weights.
  const stride = Math.max(1, Math.ceil((checkpoints.length * weights.byteLength) / MAX_CHECKPOINT_BYTES))
  const chosen = checkpoints.filter((_, k) => k % stride === 0 || k === checkpoints.length - 1)
  const kept: TrainedRun['checkpoints'] = []
  for (const one of chosen) kept.push({ step: one, weights: await playground.ask((training) => training.weights(one)) })
  return { weights, checkpoints: kept }
}

async function trainedRun(playground: Playground): Promise<TrainedRun | null> {
  await playground.pause()
  const { experiment, bundle, progress } = playground
  if (!experiment || !bundle || !progress) return null
  const { step, steps, best, seconds } = progress
  const { weights, checkpoints } = await weightsOf(playground)
  const { layers, entries, history, scored } = playground
  const cell = { name: experiment.cell, title: layers[0]!.cell.title }
  const validated = entries.findLast(({ validationLoss }) => validationLoss !== undefined)
  const run: Run = {
    name: PAGE_RUN + experimentText(experiment),
    state: 'finished',
    problem: null,
    task: { name: bundle.task, title: bundle.title, question: bundle.question },
    cell,
    layers,
    symbols: bundle.vocabulary.symbols.length,
    unit: bundle.vocabulary.unit,
    readout: bundle.readout,
    step,
    weights: true,
    weights_step: best ?? step,
    weights_bytes: weights.byteLength,
    weights_stamp: `${best ?? 'present'} of ${step}`,
    findings_stamp: null,
    steps,
    minutes: null,
    progress: null,
    seconds,
    loss: entries.at(-1)?.loss ?? null,
    validation_loss: validated?.validationLoss ?? null,
    score: scored?.score
      ? {
          value: scored.score.value,
          chance: scored.score.chance,
          solved: scored.score.solved,
          better: scored.score.better,
          text: scoreParts(scored.score).join(' · '),
        }
      : null,
    baseline: null,
    notes: [],
    tags: [],
    isInPage: true,
    stars: 0,
    updated: Date.now() / 1000,
    example: bundle.examples[0] ?? '',
    vocabulary: bundle.vocabulary.symbols,
    end: bundle.vocabulary.end,
    examples: bundle.examples,
    history,
    samples: [],
    checkpoints: checkpoints.map((one) => one.step),
    seed: String(experiment.seed),
  }
  return { run, network: playground.network, weights, checkpoints }
}
