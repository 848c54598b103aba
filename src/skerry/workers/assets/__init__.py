"""A worker's static files: which file answers a request, and with what headers.

As Cloudflare documents "Static Assets": html_handling, not_found_handling, run_worker_first,
`_headers`, `_redirects` and `.assetsignore`.
"""

from skerry.workers.assets.site import AssetAnswer, AssetRequest, StaticSite

__all__ = ["AssetAnswer", "AssetRequest", "StaticSite"]
