// A worker without bindings: what it answers in is the runtime's own time.
export default {
  fetch(): Response {
    return new Response("Hello");
  },
} satisfies ExportedHandler;
