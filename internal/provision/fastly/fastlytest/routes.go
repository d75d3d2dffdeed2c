package fastlytest

import (
	"net/http"
	"slices"
)

// routes builds the Handler. A method or path that is not listed is answered
// with 404, as the API does.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	table := slices.Concat(tokenRoutes(), serviceRoutes(), versionRoutes(), configRoutes(), kvRoutes(), secretRoutes(),
		productRoutes("/enabled-products/v1/fanout"), productRoutes("/enabled-products/fanout"),
		customDomainRoutes(oldDomains), customDomainRoutes(newDomains))
	for _, rt := range table {
		mux.HandleFunc(rt.pattern, s.serve(rt))
	}
	nowhere := route{right: own, handle: func(*call) (any, error) { return nil, unknownRoute() }}
	mux.HandleFunc("/", s.serve(nowhere))
	mux.HandleFunc("POST /__fault", s.postFault)
	mux.HandleFunc("DELETE /__fault", s.deleteFaults)
	return mux
}

func tokenRoutes() []route {
	return []route{
		{"GET /tokens/self", noBody, 0, own, false, (*call).getSelf},
		{"DELETE /tokens/self", noBody, 204, own, true, (*call).deleteSelf},
		{"GET /tokens", noBody, 0, byMethod, false, (*call).listTokens},
		{"POST /tokens", formBody, 0, sudoed, true, (*call).createToken},
		{"DELETE /tokens/{token}", noBody, 204, byMethod, true, (*call).deleteToken},
		{"GET /current_user", noBody, 0, own, false, (*call).currentUser},
		{"POST /sudo", formBody, 0, own, true, (*call).sudo},
		{"GET /automation-tokens", noBody, 0, byMethod, false, (*call).listAutomation},
		{"POST /automation-tokens", jsonBody, 0, admin, false, (*call).createAutomation},
		{"GET /automation-tokens/{token}", noBody, 0, byMethod, false, (*call).getAutomation},
	}
}

func serviceRoutes() []route {
	return []route{
		{"GET /service", noBody, 0, byMethod, false, (*call).listServices},
		{"POST /service", formBody, 0, byMethod, true, (*call).createService},
		{"GET /service/search", noBody, 0, byMethod, false, (*call).searchService},
		{"GET /service/{service}", noBody, 0, byMethod, false, (*call).getService},
		{"PUT /service/{service}", formBody, 0, byMethod, true, (*call).updateService},
		{"DELETE /service/{service}", noBody, 0, byMethod, true, (*call).deleteService},
		{"GET /service/{service}/details", noBody, 0, byMethod, false, (*call).serviceDetails},
		{"GET /service/{service}/domain", noBody, 0, byMethod, false, (*call).serviceDomains},
		{"POST /service/{service}/publish/{$}", rawBody, 0, bearer, false, (*call).publish},
		// Without the slash net/http would redirect; the API does not.
		{"POST /service/{service}/publish", rawBody, 0, bearer, false, func(*call) (any, error) { return nil, unknownRoute() }},
	}
}

func versionRoutes() []route {
	const service, version = "/service/{service}/version", "/service/{service}/version/{version}"
	return []route{
		{"GET " + service, noBody, 0, byMethod, false, (*call).listVersions},
		{"POST " + service, formBody, 0, byMethod, true, (*call).createVersion},
		{"GET " + version, noBody, 0, byMethod, false, (*call).getVersion},
		{"PUT " + version, formBody, 0, byMethod, true, (*call).updateVersion},
		{"PUT " + version + "/clone", noBody, 0, byMethod, true, (*call).cloneVersion},
		{"PUT " + version + "/activate", noBody, 0, byMethod, true, (*call).activate},
		{"PUT " + version + "/deactivate", noBody, 0, byMethod, true, (*call).deactivate},
		{"PUT " + version + "/lock", noBody, 0, byMethod, true, (*call).lock},
		{"GET " + version + "/validate", noBody, 0, byMethod, false, (*call).validate},
		{"GET " + version + "/domain", noBody, 0, byMethod, false, (*call).listDomains},
		{"POST " + version + "/domain", formBody, 0, byMethod, true, (*call).createDomain},
		{"GET " + version + "/domain/check_all", noBody, 0, byMethod, false, (*call).checkDomains},
		{"GET " + version + "/domain/{name}", noBody, 0, byMethod, false, (*call).getDomain},
		{"PUT " + version + "/domain/{name}", formBody, 0, byMethod, true, (*call).updateDomain},
		{"DELETE " + version + "/domain/{name}", noBody, 0, byMethod, true, (*call).deleteDomain},
		{"GET " + version + "/domain/{name}/check", noBody, 0, byMethod, false, (*call).checkDomain},
		{"GET " + version + "/backend", noBody, 0, byMethod, false, (*call).listBackends},
		{"POST " + version + "/backend", formBody, 0, byMethod, true, (*call).createBackend},
		{"GET " + version + "/backend/{name}", noBody, 0, byMethod, false, (*call).getBackend},
		{"PUT " + version + "/backend/{name}", formBody, 0, byMethod, true, (*call).updateBackend},
		{"DELETE " + version + "/backend/{name}", noBody, 0, byMethod, true, (*call).deleteBackend},
		{"GET " + version + "/resource", noBody, 0, byMethod, false, (*call).listLinks},
		{"POST " + version + "/resource", formBody, 0, byMethod, true, (*call).createLink},
		{"GET " + version + "/resource/{link}", noBody, 0, byMethod, false, (*call).getLink},
		{"PUT " + version + "/resource/{link}", formBody, 0, byMethod, true, (*call).updateLink},
		{"DELETE " + version + "/resource/{link}", noBody, 0, byMethod, true, (*call).deleteLink},
		{"GET " + version + "/package", noBody, 0, byMethod, false, (*call).getPackage},
		{"PUT " + version + "/package", filePart, 0, byMethod, true, (*call).putPackage},
	}
}

func configRoutes() []route {
	const all, one, item = "/resources/stores/config", "/resources/stores/config/{store}", "/resources/stores/config/{store}/item"
	return []route{
		{"GET " + all, noBody, 0, byMethod, false, (*call).listConfigStores},
		{"POST " + all, formBody, 0, byMethod, false, (*call).createConfigStore},
		{"GET " + one, noBody, 0, byMethod, false, (*call).getConfigStore},
		{"PUT " + one, formBody, 0, byMethod, false, (*call).renameConfigStore},
		{"DELETE " + one, noBody, 0, byMethod, false, (*call).deleteConfigStore},
		{"GET " + one + "/info", noBody, 0, byMethod, false, (*call).configStoreInfo},
		{"GET " + one + "/services", noBody, 0, byMethod, false, (*call).configStoreServices},
		{"GET " + one + "/items", noBody, 0, byMethod, false, (*call).listConfigItems},
		{"POST " + item, formBody, 0, byMethod, false, (*call).createConfigItem},
		{"GET " + item + "/{key}", noBody, 0, byMethod, false, (*call).getConfigItem},
		{"PUT " + item + "/{key}", formBody, 0, byMethod, false, (*call).upsertConfigItem},
		{"PATCH " + item + "/{key}", formBody, 0, byMethod, false, (*call).updateConfigItem},
		{"DELETE " + item + "/{key}", noBody, 0, byMethod, false, (*call).deleteConfigItem},
	}
}

func kvRoutes() []route {
	const all, one, key = "/resources/stores/kv", "/resources/stores/kv/{store}", "/resources/stores/kv/{store}/keys/{key}"
	return []route{
		{"GET " + all, noBody, 0, byMethod, false, (*call).listKVStores},
		{"POST " + all, jsonBody, 201, byMethod, false, (*call).createKVStore},
		{"GET " + one, noBody, 0, byMethod, false, (*call).getKVStore},
		{"DELETE " + one, noBody, 204, byMethod, false, (*call).deleteKVStore},
		{"GET " + one + "/keys", noBody, 0, byMethod, false, (*call).listKVKeys},
		{"PUT " + one + "/batch", rawBody, 0, byMethod, false, (*call).putKVBatch},
		{"GET " + key, noBody, 0, byMethod, false, (*call).getKVItem},
		{"PUT " + key, rawBody, 0, byMethod, false, (*call).putKVItem},
		{"DELETE " + key, noBody, 204, byMethod, false, (*call).deleteKVItem},
	}
}

func secretRoutes() []route {
	const all, one = "/resources/stores/secret", "/resources/stores/secret/{store}"
	return []route{
		{"GET " + all, noBody, 0, byMethod, false, (*call).listSecretStores},
		{"POST " + all, jsonBody, 201, byMethod, false, (*call).createSecretStore},
		{"POST " + all + "/client-key", jsonBody, 0, byMethod, false, (*call).createClientKey},
		{"GET " + all + "/signing-key", noBody, 0, byMethod, false, (*call).getSigningKey},
		{"GET " + one, noBody, 0, byMethod, false, (*call).getSecretStore},
		{"DELETE " + one, noBody, 204, byMethod, false, (*call).deleteSecretStore},
		{"GET " + one + "/secrets", noBody, 0, byMethod, false, (*call).listSecrets},
		{"POST " + one + "/secrets", jsonBody, 0, byMethod, false, (*call).putSecret},
		{"PUT " + one + "/secrets", jsonBody, 0, byMethod, false, (*call).putSecret},
		{"PATCH " + one + "/secrets", jsonBody, 0, byMethod, false, (*call).putSecret},
		{"GET " + one + "/secrets/{name}", noBody, 0, byMethod, false, (*call).getSecret},
		{"DELETE " + one + "/secrets/{name}", noBody, 204, byMethod, false, (*call).deleteSecret},
	}
}

func productRoutes(under string) []route {
	path := under + "/services/{service}"
	links := func(c *call) object { return fanoutBody(under, c.path("service")) }
	return []route{
		{"GET " + path, noBody, 0, byMethod, false, func(c *call) (any, error) { return c.getFanout(links) }},
		{"PUT " + path, jsonBody, 0, byMethod, false, func(c *call) (any, error) { return c.enableFanout(links) }},
		{"DELETE " + path, noBody, 204, byMethod, false, (*call).disableFanout},
	}
}

// The two paths of the versionless domain API.
const (
	oldDomains = "/domains/v1"
	newDomains = "/domain-management/v1/domains"
)

func customDomainRoutes(path string) []route {
	show := func(d *CustomDomain) object { return showCustomDomain(d, path == newDomains) }
	with := func(f func(*call, func(*CustomDomain) object) (any, error)) func(*call) (any, error) {
		return func(c *call) (any, error) { return f(c, show) }
	}
	return []route{
		{"GET " + path, noBody, 0, byMethod, false, with((*call).listCustomDomains)},
		{"POST " + path, jsonBody, 201, byMethod, false, with((*call).createCustomDomain)},
		{"GET " + path + "/{domain}", noBody, 0, byMethod, false, with((*call).getCustomDomain)},
		{"PATCH " + path + "/{domain}", jsonBody, 0, byMethod, false, with((*call).updateCustomDomain)},
		{"DELETE " + path + "/{domain}", noBody, 204, byMethod, false, (*call).deleteCustomDomain},
	}
}
