// A network from a file: the zip file of a run, or network.json with weights.safetensors.
import { text } from '../messages/text'
import { type Experiment, experimentText, TEXT } from '../model/experiment'
import { experimentOf } from '../model/start-network'
import { MAX_ZIP_BYTES, unzipped, ZipError } from '../model/zip'
import type { Explorer } from './explorer.svelte'
import type { Playground } from './playground.svelte'

const NAMES = ['network.json', 'weights.safetensors', 'task.json', 'text.txt']

/** The name of a file without its folder. */
const last = (path: string): string => path.slice(path.lastIndexOf('/') + 1)
/** Whether a path lies in one folder at most, which is that of the run. */
const isOfRun = (path: string): boolean => NAMES.includes(last(path)) && path.split('/').length <= 2

/** Return the files of a run by their names. Throws a ZipError if they are too large or cannot be read. */
async function filesIn(chosen: readonly File[]): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  if (chosen.reduce((sum, { size }) => sum + size, 0) > MAX_ZIP_BYTES)
    throw new ZipError(text('PLAYGROUND_ZIP_DAMAGED', { most: MAX_ZIP_BYTES >> 20 }))
  const contents = await Promise.all(
    chosen.map(async (file) => [file.name, new Uint8Array(await file.arrayBuffer())] as const),
  )
  const zip = contents.find(([name]) => /\.zip$/i.test(name))
  const files = zip ? await unzipped(zip[1], isOfRun) : new Map(contents)
  return new Map([...files].map(([name, content]) => [last(name), content]))
}

function jsonIn(content: Uint8Array | undefined): unknown {
  try {
    return content && JSON.parse(new TextDecoder().decode(content))
  } catch {
    return undefined
  }
}

/** Open a network that was chosen, and train it on. Throws a ZipError if it is none that the playground trains. */
export async function openFiles(explorer: Explorer, playground: Playground, chosen: readonly File[]): Promise<void> {
  const files = await filesIn(chosen)
  const [network, weights] = [jsonIn(files.get('network.json')), files.get('weights.safetensors')]
  const { name: task } = (jsonIn(files.get('task.json')) ?? {}) as { name?: unknown }
  const name = (chosen.find((file) => /\.zip$/i.test(file.name)) ?? chosen[0])?.name ?? ''
  const experiment: Experiment | null = experimentOf(network, String(task), name)
  if (!weights || !network) throw new ZipError(text('PLAYGROUND_FILE_HALF'))
  if (!experiment) throw new ZipError(text('PLAYGROUND_FROM_OTHER', { name }))
  playground.data.files.set(name, { network, weights: weights.buffer })
  const own = files.get('text.txt')
  const words = own && experiment.task === TEXT ? new TextDecoder().decode(own) : null
  playground.forget()
  explorer.go({ experiment: experimentText(experiment), text: words, layer: null, signal: null })
}
