// Stands in for the npm package @cloudflare/ai where that is not installed: it, too, only hands
// on to the binding.
export class Ai {
  constructor(binding, options) {
    if (!binding) throw new Error("Ai binding is undefined. Please provide a valid binding.");
    this.binding = binding;
    this.options = options;
    this.lastRequestId = null;
  }

  async run(model, inputs, options) {
    const answer = await this.binding.run(model, inputs, options ?? this.options);
    this.lastRequestId = this.binding.lastRequestId;
    return answer;
  }
}

export default { Ai };
