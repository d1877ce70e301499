// The errors of the engine as sentences for the reader.
import { EngineError } from '../../engine/errors'
import { isCode, text } from '../messages/text'
import { SourceError } from './source'

/** Turn the error of the engine into a sentence; other errors stay what they are. */
export function sentenceOf(error: unknown): unknown {
  if (!(error instanceof EngineError)) return error
  const { code, values } = error
  return new SourceError(isCode(code) ? text(code, values) : text('ENGINE_REFUSED', { code }), false, code)
}

export const inSentences = <T>(answer: Promise<T>): Promise<T> =>
  answer.catch((error: unknown) => {
    throw sentenceOf(error)
  })
