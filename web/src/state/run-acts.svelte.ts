// Acts on runs from the list: rename, tags, the trash, and the way back.
import { sentenceOf } from '../data/source-error'
import type { Acts, DeletedRun } from '../data/acts'
import { text } from '../messages/text'

export class RunActs {
  /** Why the last act was refused, and the run that it was about. */
  problem = $state.raw<{ run: string; sentence: string } | null>(null)
  /** The run that was deleted last, until it is restored or the note is closed. */
  deleted = $state.raw<DeletedRun | null>(null)
  /** What was done last, for a reader who hears it. */
  news = $state('')
  busy = $state(false)

  constructor(private readonly acts: Acts) {}

  /** Rename a run. Returns its new name; null if that was refused. */
  rename(run: string, name: string): Promise<string | null> {
    return this.#try(run, () => this.acts.rename(run, name))
  }

  async addTag(run: string, tag: string): Promise<boolean> {
    return (await this.#try(run, () => this.acts.tag(run, [tag]))) !== null
  }

  async removeTag(run: string, tag: string): Promise<boolean> {
    return (await this.#try(run, () => this.acts.tag(run, [], [tag]))) !== null
  }

  /** Pause, stop or resume the training of a run. A pause ends it after the update or the validation under way. */
  async train(run: string, act: 'pause' | 'stop' | 'resume'): Promise<void> {
    await this.#try(run, () => this.acts.post(`/api/runs/${encodeURIComponent(run)}/${act}`, {}))
  }

  async delete(run: string): Promise<void> {
    const deleted = await this.#try(run, () => this.acts.delete(run))
    if (!deleted) return
    this.deleted = deleted
    this.news = text('RUN_DELETED', { run })
  }

  /** Take the run that was deleted last out of the trash. */
  async undo(): Promise<void> {
    const { deleted } = this
    if (!deleted) return
    const name = await this.#try(deleted.name, () => this.acts.restore(deleted.id))
    if (name === null) return
    this.deleted = null
    this.news = text('RUN_RESTORED', { run: name })
  }

  /** Close the note about the deleted run; it stays in the trash. */
  close(): void {
    this.deleted = null
    this.news = ''
  }

  async #try<T>(run: string, act: () => Promise<T>): Promise<T | null> {
    this.busy = true
    this.problem = null
    try {
      return await act()
    } catch (error) {
      this.problem = { run, sentence: sentenceOf(error) }
      return null
    } finally {
      this.busy = false
    }
  }
}
