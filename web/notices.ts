// Adds THIRD_PARTY.md to the built page: the licence of every package of which code is in it, and of the kernels.
import { fileURLToPath } from 'node:url'
import type { Plugin, Rolldown } from 'vite'

type PluginContext = Rolldown.PluginContext

const KERNELS = `# Notices

gatescope itself is under the MIT licence, which stands in its file LICENSE. The built page also has code of others.

## The kernels

kernels.wasm and kernels-relaxed.wasm are gatescope's own C++, compiled by Clang as the Zig toolchain has it. No library is
linked. Templates and macros of the headers of LLVM's libc++ (Apache License 2.0 with LLVM Exceptions) and of wasi-libc
(MIT, Apache License 2.0 with LLVM Exceptions, and Apache License 2.0) are compiled into them. The LLVM Exceptions read:

> As an exception, if, as a result of your compiling your source code, portions of this Software are embedded into an
> Object form of such source code, you may redistribute such embedded portions in such Object form without complying with
> the conditions of Sections 4(a), 4(b) and 4(d) of the License.
`

/** Return the folder of the package that a module belongs to; null for a module of this project. */
function packageOf(module: string): string | null {
  return /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(module)?.[0] ?? null
}

/** Return the name, the version and the licence of a package. */
async function noticeOf({ fs }: PluginContext, folder: string): Promise<string> {
  const read = (file: string): Promise<string> => fs.readFile(`${folder}/${file}`, { encoding: 'utf8' })
  const { name, version, license } = JSON.parse(await read('package.json')) as Record<string, string>
  const file = (await fs.readdir(folder)).find((file) => /^licen[cs]e(\.\w+)?$/i.test(file))
  if (file === undefined) throw new Error(`${folder}: expected a file LICENSE, got none.`)
  return `\n## ${name} ${version} (${license})\n\n${(await read(file)).trim()}\n`
}

/** `packages`: the names of packages of which code is in scripts that are built apart. */
export const notices = (packages: readonly string[]): Plugin => ({
  name: 'gatescope-notices',
  apply: 'build',
  async generateBundle(_options, bundle) {
    const chunks = Object.values(bundle).flatMap((chunk) => (chunk.type === 'chunk' ? [chunk] : []))
    const used = chunks
      .flatMap((chunk) => Object.entries(chunk.modules))
      .flatMap(([module, { renderedLength }]) => (renderedLength > 0 ? [packageOf(module)] : []))
    const apart = packages.map((name) => fileURLToPath(new URL(`node_modules/${name}`, import.meta.url)))
    const folders = [...new Set([...used.filter((folder) => folder !== null), ...apart])].sort()
    const licences = await Promise.all(folders.map((folder) => noticeOf(this, folder)))
    this.emitFile({ type: 'asset', fileName: 'THIRD_PARTY.md', source: KERNELS + licences.join('') })
  },
})
