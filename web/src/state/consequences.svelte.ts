// What the network writes after a text with and without holds, for the sentence about their effect.
import { type Source, SourceError } from '../data/source'
import type { Hold } from '../data/view'
import { promptOf, type Prompt, type Written } from '../model/consequence'
import type { Picture } from '../model/picture'
import { Latest } from './requests'
import { reasonNotToWrite } from './writing.svelte'

/** The parts of the explorer that say which text and holds are chosen. */
interface Explored {
  readonly text: string
  readonly state: { readonly holds: readonly Hold[] }
  readonly loader: { readonly baseline: readonly Hold[] }
}

/** Whether a picture is that of the text and the holds of the view; a picture of refused holds counts as well. */
export function ofChosenHolds({ text, state, loader }: Explored, picture: Picture): boolean {
  const chosen = JSON.stringify([state.holds, loader.baseline])
  return (
    picture.refusal !== null || (picture.text === text && JSON.stringify([picture.holds, picture.baseline]) === chosen)
  )
}

export class Consequences {
  /** What it writes about the last picture that was followed; null without holds. */
  written = $state.raw<Written | null>(null)
  /** The picture that it is about. */
  of = $state.raw<Picture | null>(null)
  readonly #requests = new Latest()
  /** What the network writes without the holds of the picture, which stays while a slider moves. */
  #before: { key: string; written: string } | null = null

  constructor(private readonly source: Source) {}

  /** Let the network of a picture write, unless it has already. Newer pictures replace it while it waits. */
  follow(picture: Picture): void {
    if (this.of === picture || !picture.original || reasonNotToWrite(picture.run) !== null) return
    this.#requests.request(async () => {
      try {
        this.written = await this.#write(picture)
      } catch (error) {
        // The sentence about the predictions takes its place; whatever else is wrong is reported by the trace.
        if (!(error instanceof SourceError)) throw error
        this.written = null
      }
      this.of = picture
    })
  }

  async #write(picture: Picture): Promise<Written | null> {
    const { run, checkpoint, generation, free, holds, baseline } = picture
    if (!free?.steps) return null
    const prompt = promptOf(run, picture.text, free)
    const key = JSON.stringify([run.name, checkpoint, generation, picture.text, prompt, baseline])
    const before = this.#before?.key === key ? this.#before.written : await this.#continued(picture, prompt, baseline)
    this.#before = { key, written: before }
    return { prompt, before, after: await this.#continued(picture, prompt, holds) }
  }

  async #continued(picture: Picture, { steps, length }: Prompt, holds: readonly Hold[]): Promise<string> {
    const { run, text, checkpoint } = picture
    // The states after the steps are those of the recordings of the picture, so the text is not read again.
    const request = { text, steps, length, temperature: 0, seed: 0, checkpoint, holds }
    return (await this.source.continuation(run.name, request)).text
  }
}
