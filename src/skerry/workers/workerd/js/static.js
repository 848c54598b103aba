// The worker of a project that has static files only: whatever is no file is not there.
export default {
  fetch() {
    return new Response("Not Found", { status: 404 });
  },
};
