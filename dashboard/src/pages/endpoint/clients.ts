/** What each client is given so that it asks here. Pure; as docs/clients.md has it, and the tests with real clients. */
import { json, quoted, shell } from './written.ts';

export interface Settings {
  /** Where the gateway is for the client, without `/v1` and without a slash at its end. */
  readonly base: string;
  readonly key: string;
  readonly model: string;
  /** Models for a client that keeps a list; `model` is among them. */
  readonly models: readonly ListedModel[];
}

export interface ListedModel {
  readonly name: string;
  readonly contextLength: number | null;
  readonly maxOutput: number | null;
}

/** A text to copy. `place`: a file's name, else it goes into a terminal. */
export interface Piece {
  readonly place: string;
  readonly code: string;
}

/** A value to put into a field of a client's own settings; `field` is what that client calls it. */
export interface Step {
  readonly field: string;
  readonly value: string;
}

export interface Client {
  readonly id: string;
  readonly name: string;
  /** The version that was tried with the gateway; '' = written by its documentation, and not tried. */
  readonly tried: string;
  readonly pieces?: (settings: Settings) => Piece[];
  readonly steps?: (settings: Settings) => Step[];
}

const CONTEXT = 128_000;
const ANSWER = 16_384;

export const CLIENTS: readonly Client[] = [
  { id: 'claude-code', name: 'Claude Code', tried: '2.1.330', pieces: claudeCode },
  { id: 'codex', name: 'Codex', tried: '0.169.0', pieces: codex },
  { id: 'gemini-cli', name: 'Gemini CLI', tried: '0.61.0', pieces: geminiCli },
  { id: 'opencode', name: 'OpenCode', tried: '1.18.33', pieces: openCode },
  { id: 'cursor', name: 'Cursor', tried: '', steps: cursor },
  { id: 'cline', name: 'Cline', tried: '', steps: cline },
  { id: 'continue', name: 'Continue', tried: '', pieces: continueDev },
  { id: 'copilot', name: 'GitHub Copilot', tried: '', pieces: copilot },
];

function claudeCode({ base, key, model }: Settings): Piece[] {
  return [
    {
      place: '',
      code: [
        `export ANTHROPIC_BASE_URL=${shell(base)}`,
        `export ANTHROPIC_AUTH_TOKEN=${shell(key)}`,
        `export ANTHROPIC_MODEL=${shell(model)} ANTHROPIC_SMALL_FAST_MODEL=${shell(model)}`,
        'export CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1',
        'claude',
      ].join('\n'),
    },
  ];
}

function codex({ base, key, model }: Settings): Piece[] {
  return [
    {
      place: '~/.codex/config.toml',
      code: [
        `model = ${quoted(model)}`,
        'model_provider = "omniroute"',
        '',
        '[model_providers.omniroute]',
        'name = "OmniRoute"',
        `base_url = ${quoted(`${base}/v1`)}`,
        'env_key = "OMNIROUTE_KEY"',
        'wire_api = "responses"',
      ].join('\n'),
    },
    { place: '', code: `export OMNIROUTE_KEY=${shell(key)}\ncodex` },
  ];
}

function geminiCli({ base, key, model }: Settings): Piece[] {
  return [
    { place: '~/.gemini/settings.json', code: json({ security: { auth: { selectedType: 'gemini-api-key' } } }) },
    { place: '', code: [`export GOOGLE_GEMINI_BASE_URL=${shell(base)}`, `export GEMINI_API_KEY=${shell(key)}`, `gemini -m ${shell(model)}`].join('\n') },
  ];
}

function openCode({ base, key, model }: Settings): Piece[] {
  const provider = { npm: '@ai-sdk/openai-compatible', options: { baseURL: `${base}/v1`, apiKey: key }, models: { [model]: { tool_call: true } } };
  return [{ place: '~/.config/opencode/opencode.json', code: json({ model: `omniroute/${model}`, provider: { omniroute: provider } }) }];
}

function cursor({ base, key, model }: Settings): Step[] {
  return [
    { field: 'OpenAI API Key', value: key },
    { field: 'Override OpenAI Base URL', value: `${base}/v1` },
    { field: 'Add Custom Model', value: model },
  ];
}

function cline({ base, key, model }: Settings): Step[] {
  return [
    { field: 'API Provider', value: 'OpenAI Compatible' },
    { field: 'Base URL', value: `${base}/v1` },
    { field: 'API Key', value: key },
    { field: 'Model ID', value: model },
  ];
}

function continueDev({ base, key, model }: Settings): Piece[] {
  return [
    {
      place: '~/.continue/config.yaml',
      code: [
        'name: OmniRoute',
        'version: 0.0.1',
        'schema: v1',
        'models:',
        `  - name: ${quoted(model)}`,
        '    provider: openai',
        `    model: ${quoted(model)}`,
        `    apiBase: ${quoted(`${base}/v1`)}`,
        `    apiKey: ${quoted(key)}`,
        '    roles: [chat, edit, apply]',
      ].join('\n'),
    },
  ];
}

/** VS Code asks for the key itself and keeps it among its secrets: it has no place in the file. */
function copilot({ base, models }: Settings): Piece[] {
  const entry = ({ name, contextLength, maxOutput }: ListedModel) => {
    const answer = maxOutput ?? ANSWER;
    return {
      id: name,
      name,
      url: `${base}/v1/chat/completions`,
      toolCalling: true,
      vision: true,
      maxInputTokens: Math.max(1, (contextLength ?? CONTEXT) - answer),
      maxOutputTokens: answer,
    };
  };
  const group = { name: 'OmniRoute', vendor: 'customendpoint', apiKey: '${input:chat.lm.secret.omniroute}', apiType: 'chat-completions', models: models.map(entry) };
  return [{ place: 'chatLanguageModels.json', code: json([group]) }];
}

/** Whether an address leads only back to the machine, or the network, that it is used on. */
export function isPrivate(base: string): boolean {
  let host: string;
  try {
    host = new URL(base).hostname.replace(/^\[|\]$/g, '');
  } catch {
    return false;
  }
  return host === 'localhost' || /^(127|10|192\.168|169\.254|172\.(1[6-9]|2\d|3[01]))\./.test(host) || host === '::1' || /^f[cd]/.test(host) || host.endsWith('.local');
}
