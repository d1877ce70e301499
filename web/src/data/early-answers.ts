// Answers to requests that were sent before the program of the page had arrived.

/** The part of a Response that is read here. */
export type Answer = Pick<Response, 'ok' | 'status' | 'json' | 'arrayBuffer'>

interface EarlyWindow {
  gatescopeEarly?: Map<string, Promise<Answer>>
}

const keyOf = (path: string, language: string, body: unknown): string => JSON.stringify([path, language, body ?? null])

/** Return the headers of a request in a language. */
export const headersIn = (language: string): Record<string, string> => ({ 'Accept-Language': language })

/** Send a request whose answer the page will need. The answer is read at once, and waits in memory. */
export function sendEarly(path: string, language: string, body?: object): Promise<Answer> {
  const answers = ((globalThis as EarlyWindow).gatescopeEarly ??= new Map())
  const answer = request(path, language, body)
  // Whoever needs the answer learns of a failure; nobody may need it.
  answer.catch(() => undefined)
  answers.set(keyOf(path, language, body), answer)
  return answer
}

/** Return the answer to a request that was sent before, once; null if there is none. */
export function takeEarly(path: string, language: string, body?: unknown): Promise<Answer> | null {
  const answers = (globalThis as EarlyWindow).gatescopeEarly
  const key = keyOf(path, language, body)
  const answer = answers?.get(key) ?? null
  answers?.delete(key)
  return answer
}

/** Forget all answers that nobody took: they are no longer the newest. */
export function forgetEarly(): void {
  ;(globalThis as EarlyWindow).gatescopeEarly?.clear()
}

async function request(path: string, language: string, body?: object): Promise<Answer> {
  const headers = headersIn(language)
  const options: RequestInit = body
    ? { method: 'POST', headers: { ...headers, 'Content-Type': 'application/json' }, body: JSON.stringify(body) }
    : { headers }
  const { ok, status, bytes } = await fetch(path, options).then(async (answer) => {
    return { ok: answer.ok, status: answer.status, bytes: await answer.arrayBuffer() }
  })
  return {
    ok,
    status,
    arrayBuffer: () => Promise.resolve(bytes),
    json: async () => JSON.parse(new TextDecoder().decode(bytes)) as unknown,
  }
}
