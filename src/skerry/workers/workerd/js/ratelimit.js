// env.NAME.limit({ key }): the node counts.
class RateLimit {
  #fetcher;
  #limit;
  #period;

  constructor(env) {
    this.#fetcher = env.fetcher;
    this.#limit = env.limit;
    this.#period = env.period;
  }

  async limit(options) {
    const key = options?.key;
    if (typeof key !== "string") throw new TypeError("limit() takes an object with a string `key`");
    const answer = await this.#fetcher.fetch("http://ratelimit/limit", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ key, limit: this.#limit, period: this.#period }),
    });
    if (!answer.ok) throw new Error(`Rate limit failed: ${await answer.text()}`);
    return await answer.json();
  }
}

export default (env) => new RateLimit(env);
