// The training of the page as a run in a zip file, and the lines of Python that go on with it.
import { experimentText } from '../model/experiment'
import { runFolder } from '../model/run-folder'
import { zipped } from '../model/zip'
import { weightsOf } from './looking-inside'
import type { Playground } from './playground.svelte'

const MAX_NAME_CHARACTERS = 80

/** Return the name of the run of an experiment, such as "lstm-10-1-counter-seed-3". */
export const runName = ({ experiment }: Playground): string =>
  experimentText(experiment!)
    .replace(/%../g, '_')
    .replace(/[^\w.-]+/g, '-')
    .slice(0, MAX_NAME_CHARACTERS)

/** Pause the training, and return its run as a zip file with one folder; null if there is no network yet. */
export async function runFile(playground: Playground): Promise<Blob | null> {
  await playground.pause()
  const { experiment, bundle, network, progress, pasted, entries, phase, problem } = playground
  if (!experiment || !bundle || !progress) return null
  const { weights, checkpoints } = await weightsOf(playground)
  // After a failure the present weights and the optimizer may be of an update that failed.
  const failed = phase === 'failed'
  const resumption = failed ? null : await playground.ask((training) => training.resumption())
  const present = failed
    ? []
    : [{ step: progress.step, weights: await playground.ask((training) => training.weights('present')) }]
  const reason = failed ? 'failed' : progress.ended
  const files = runFolder({
    experiment,
    bundle,
    network,
    pasted,
    weights,
    checkpoints: [...checkpoints.filter(({ step }) => step < progress.step), ...present],
    entries,
    seconds: progress.seconds,
    resumption,
    end: reason === null ? null : { reason, problem: failed ? problem : null },
  })
  const name = runName(playground)
  return new Blob([zipped(new Map([...files].map(([file, bytes]) => [`${name}/${file}`, bytes])))], {
    type: 'application/zip',
  })
}

/** Return three lines of Python that unpack the run and train it on. */
export function continuingLines(playground: Playground): string {
  const name = runName(playground)
  const { progress } = playground
  const more = progress && progress.step >= progress.steps ? `, steps=${2 * progress.steps}` : ''
  return [
    'import gatescope',
    `run = gatescope.unpack_run("${name}.zip", "runs/${name}")`,
    `gatescope.train(run${more})`,
  ].join('\n')
}
