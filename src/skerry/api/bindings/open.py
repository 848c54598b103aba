"""Which face answers which binding of a project."""

from __future__ import annotations

from skerry.api.bindings.ai import AiFace
from skerry.api.bindings.analytics import AnalyticsFace
from skerry.api.bindings.assets import AssetsFace
from skerry.api.bindings.base import BindingFace
from skerry.api.bindings.cache import CacheFace
from skerry.api.bindings.d1 import D1Face
from skerry.api.bindings.kv import KvFace
from skerry.api.bindings.outbound import Allowed, OutboundFace
from skerry.api.bindings.public_assets import PublicAssetsFace
from skerry.api.bindings.queues import QueueFace
from skerry.api.bindings.r2 import R2Face
from skerry.api.bindings.ratelimit import RateLimitFace
from skerry.api.bindings.service import Find, ServiceFace, Services
from skerry.api.bindings.vectorize import VectorizeFace
from skerry.api.face import Face
from skerry.errors import ProjectError
from skerry.storage.open import Stores
from skerry.workers import bindings as kinds
from skerry.workers.assets import StaticSite
from skerry.workers.project import Project
from skerry.workers.workerd.config import ASSETS, CACHE, OUTBOUND


class WorkerFaces:
    """Opens the faces of any worker of one account."""

    def __init__(self, account: str, stores: Stores, face: Face, find: Find) -> None:
        """find: where the node's other workers listen."""
        self._account = account
        self._stores = stores
        self._face = face
        self._services = Services(find)
        self._outbound = OutboundFace(
            Allowed(face.settings.outbound, offline=face.settings.offline)
        )

    def __call__(self, project: Project) -> dict[str, BindingFace]:
        """Binding name -> its face. Raises ProjectError for a kind that is not served."""
        site = _site(project)
        found: dict[str, BindingFace] = {}
        for each in project.bindings:
            if isinstance(each, kinds.AssetsBinding) and site is not None:
                found[each.name] = AssetsFace(site)
                continue
            found[each.name] = self._one(each)
        if site is not None:
            found[ASSETS] = PublicAssetsFace(site)
        caches = self._stores.caches(self._account, project.name)
        return found | {OUTBOUND: self._outbound, CACHE: CacheFace(caches)}

    async def close(self) -> None:
        """Close the connections to the outside that are kept."""
        await self._outbound.close()
        await self._services.close()

    def _one(self, binding: kinds.Binding) -> BindingFace:
        account, stores = self._account, self._stores
        match binding:
            case kinds.AiBinding():
                return AiFace(self._face, account)
            case kinds.KvBinding():
                return KvFace(stores.kv(account, binding.id))
            case kinds.D1Binding():
                return D1Face(stores.d1(account, binding.id, binding.database_name))
            case kinds.R2Binding():
                return R2Face(stores.r2(account, binding.bucket))
            case kinds.QueueBinding():
                return QueueFace(stores.queue(account, binding.queue), binding.delay)
            case kinds.AnalyticsBinding():
                return AnalyticsFace(stores.analytics(account, binding.dataset))
            case kinds.RateLimitBinding():
                return RateLimitFace(
                    stores.rate_limits(account),
                    binding.namespace_id,
                    binding.limit,
                    binding.period,
                )
            case kinds.VectorizeBinding():
                return VectorizeFace(stores.vectorize(account), binding.index_name)
            case kinds.ServiceBinding():
                if binding.entrypoint is not None:
                    raise ProjectError(
                        f"the binding {binding.name}: entrypoints of other workers (entrypoint"
                        f" = {binding.entrypoint!r}) are not served; bind the default one"
                    )
                return ServiceFace(binding.service, self._services)
            case kinds.AssetsBinding():
                raise ProjectError(f"the binding {binding.name} needs assets.directory")


def _site(project: Project) -> StaticSite | None:
    if project.assets is None:
        return None
    return StaticSite(
        project.assets,
        has_worker=project.main is not None,
        compatibility_date=project.compatibility_date,
    )
