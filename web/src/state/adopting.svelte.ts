// The adoption of a network that was dropped on the page: the file is sent, its questions are answered, a run appears.
import { sentenceOf } from '../data/source-error'
import { type Acts, type Adoption, type Answer, type Question } from '../data/acts'

/** Answers that are files, and answers that are lists. */
const FILE_ANSWERS = ['vocabulary', 'corpus', 'names', 'text']
const LIST_ANSWERS = ['layers', 'names', 'head', 'ignore']

export const isFileAnswer = (answer: string): boolean => FILE_ANSWERS.includes(answer)
export const isListAnswer = (answer: string): boolean => LIST_ANSWERS.includes(answer)

export class Adopting {
  /** The name of the file that is being sent, or that has open questions; null without a file. */
  file = $state<string | null>(null)
  adoption = $state.raw<Adoption | null>(null)
  problem = $state<string | null>(null)
  busy = $state(false)
  #abort: AbortController | null = null

  constructor(private readonly acts: Acts) {}

  get questions(): Question[] {
    return this.adoption?.questions ?? []
  }

  /** Send a file. */
  async begin(file: File): Promise<void> {
    await this.cancel()
    this.file = file.name
    await this.#try((signal) => this.acts.adopt(file, signal))
  }

  /** Answer a question by typed or chosen text; "" takes the answer back. */
  async answer(name: string, value: string): Promise<void> {
    const id = this.adoption?.id
    const parts = value.split(',').map((part) => part.trim())
    const answer: Answer | null = value.trim() === '' ? null : isListAnswer(name) ? parts.filter(Boolean) : value
    if (id) await this.#try(() => this.acts.answer(id, { [name]: answer }))
  }

  async answerByFile(name: string, file: File): Promise<void> {
    const id = this.adoption?.id
    if (id) await this.#try((signal) => this.acts.answerByFile(id, name, file, signal))
  }

  /** Stop sending, and remove what was sent; an adopted run stays. */
  async cancel(): Promise<void> {
    this.#abort?.abort()
    const { adoption } = this
    this.file = null
    this.adoption = null
    this.problem = null
    // The server may have dropped the file already.
    if (adoption && adoption.run === null) await this.acts.cancelAdoption(adoption.id).catch(() => undefined)
  }

  async #try(act: (signal: AbortSignal) => Promise<Adoption>): Promise<void> {
    const abort = new AbortController()
    this.#abort = abort
    this.busy = true
    this.problem = null
    try {
      const adoption = await act(abort.signal)
      if (this.#abort === abort && this.file !== null) this.adoption = adoption
    } catch (error) {
      // An answer that is refused leaves the questions as they were.
      if (!abort.signal.aborted) this.problem = sentenceOf(error)
    } finally {
      if (this.#abort === abort) this.busy = false
    }
  }
}
