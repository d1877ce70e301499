// What a training in the page begins with: the bundle of its task, and the weights of a run or a file.
import { playgroundFile, type PlaygroundIndex, type TaskBundle } from '../data/playground'
import { type PlaygroundSource, SourceError } from '../data/source'
import { text } from '../messages/text'
import { type Experiment, TEXT } from '../model/experiment'
import { fits, isFileStart, startName, type StartNetwork, symbolsOf } from '../model/start-network'
import { MAX_TEXT, MIN_TEXT, textBundle } from '../model/text-bundle'

export class StartData {
  /** The networks of files that were opened here, by their names. */
  readonly files = new Map<string, StartNetwork>()
  readonly #bundles = new Map<string, Promise<TaskBundle>>()

  constructor(private readonly source: PlaygroundSource) {}

  /** Return the tasks and cells to choose from. Throws a SourceError if they are missing. */
  index(): Promise<PlaygroundIndex> {
    return playgroundFile<PlaygroundIndex>(this.source, 'index')
  }

  /** Return the network that an experiment begins with; null for the initial weights of its seed. */
  async given(experiment: Experiment, index: PlaygroundIndex): Promise<StartNetwork | null> {
    const { from } = experiment
    if (from === null) return null
    const name = startName(from)
    const given = isFileStart(from) ? this.files.get(name) : await this.source.network(name)
    if (!given) throw new SourceError(text('PLAYGROUND_FROM_MISSING', { name }))
    if (!fits(given.network, experiment, index)) throw new SourceError(text('PLAYGROUND_FROM_OTHER', { name }))
    return given
  }

  /** Return the bundle of a task; null, with the reason if there is one, for a text that has none. */
  async bundleOf(
    { task }: Experiment,
    pasted: string,
    given: StartNetwork | null,
    index: PlaygroundIndex,
  ): Promise<{ bundle: TaskBundle | null; problem: string | null }> {
    const name = task === TEXT ? index.tasks[0]!.name : task
    const loading = this.#bundles.get(name) ?? playgroundFile<TaskBundle>(this.source, name)
    this.#bundles.set(name, loading)
    loading.catch(() => this.#bundles.delete(name))
    const bundle = await loading
    if (task !== TEXT) return { bundle, problem: null }
    const symbols = given && symbolsOf(given.network)
    const made = textBundle(pasted, text('PLAYGROUND_TASK_TEXT'), bundle.suggested.network, symbols)
    if (made || !pasted) return { bundle: made, problem: null }
    const characters = [...pasted].length
    return { bundle: null, problem: text('PLAYGROUND_TEXT_LENGTH', { least: MIN_TEXT, most: MAX_TEXT, characters }) }
  }
}
