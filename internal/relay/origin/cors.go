package origin

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// withCORS adds what lets pages of any site read the response (grip.md, 6.7).
func withCORS(h, request http.Header) http.Header {
	out := maps.Clone(h)
	add := func(name, value string) {
		if _, ok := out[name]; !ok && value != "" {
			out[name] = []string{value}
		}
	}
	methods := request.Get("Access-Control-Request-Method")
	if methods == "" {
		methods = "OPTIONS, HEAD, GET, POST, PUT, DELETE"
	}
	origin := request.Get("Origin")
	if origin == "" {
		origin = "*"
	}
	add("Access-Control-Expose-Headers", strings.Join(notSimple(h), ", "))
	add("Access-Control-Allow-Methods", methods)
	add("Access-Control-Allow-Headers", strings.Join(request["Access-Control-Request-Headers"], ", "))
	add("Access-Control-Allow-Credentials", "true")
	add("Access-Control-Allow-Origin", origin)
	add("Access-Control-Max-Age", "3600")
	return out
}

// notSimple lists the headers that a page may read only if they are named.
func notSimple(h http.Header) []string {
	var names []string
	for name, values := range h {
		switch name {
		case "Cache-Control", "Content-Language", "Content-Length", "Content-Type", "Expires", "Last-Modified", "Pragma":
			continue
		}
		if len(values) > 0 && !strings.HasPrefix(name, "Access-Control-") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
