package archtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The layers, bottom up. A package imports only from layers below its own.
const (
	words = iota
	mechanisms
	services
	applications
	commands
)

// part is one box of the picture: a package and those below it which have no
// box of their own.
type part struct {
	tree  string
	layer int
	// may lists the parts this one imports. An edge that is not here fails the
	// test even where the layers would allow it: hub knows nothing of tokens,
	// although a service may know both.
	may []string
}

// picture is the import graph. Adding an edge here is a change to the
// architecture; say why in the commit.
var picture = []part{
	{"internal/pubsub", words, nil},

	{"internal/token", mechanisms, []string{"internal/pubsub"}},
	{"internal/sse", mechanisms, []string{"internal/pubsub"}},
	{"internal/mqtt", mechanisms, []string{"internal/pubsub"}},
	{"internal/grip", mechanisms, []string{"internal/pubsub"}},
	{"internal/relay/hub", mechanisms, []string{"internal/pubsub"}},
	{"internal/relay/store", mechanisms, []string{"internal/pubsub"}},
	// The imitated platform API is HTTP and JSON only: the relay serves it, and the
	// tests of provisioning talk to it.
	{"internal/provision/fastly/fastlytest", mechanisms, nil},

	// Fanout holds connections for any origin: it must not learn what a topic's
	// token or a retained message is.
	{"internal/relay/fanout", services, []string{"internal/grip", "internal/pubsub", "internal/relay/hub"}},
	{"internal/relay/app", services, []string{
		"internal/grip", "internal/mqtt", "internal/pubsub", "internal/relay/fanout", "internal/relay/store", "internal/sse", "internal/token",
	}},
	{"internal/relay/origin", services, []string{"internal/grip", "internal/pubsub", "internal/relay/fanout"}},
	{"internal/client", services, []string{"internal/grip", "internal/mqtt", "internal/pubsub", "internal/sse", "internal/token"}},
	{"internal/config", services, []string{"internal/pubsub", "internal/token"}},
	{"internal/ui", services, []string{"internal/pubsub"}},

	{"internal/relay", applications, []string{
		"internal/grip", "internal/pubsub", "internal/relay/app", "internal/relay/fanout", "internal/relay/hub",
		"internal/relay/origin", "internal/relay/store", "internal/token", "internal/provision/fastly/fastlytest",
	}},
	{"internal/tail", applications, []string{"internal/client", "internal/config", "internal/pubsub", "internal/ui"}},
	{"internal/provision", applications, []string{"internal/client", "internal/config", "internal/pubsub", "internal/token", "internal/ui"}},

	{"cmd", commands, []string{
		"internal/client", "internal/config", "internal/provision", "internal/provision/fastly/fastlytest", "internal/pubsub",
		"internal/relay", "internal/relay/store",
		"internal/tail", "internal/token", "internal/ui",
	}},

	{"internal/archtest", commands, nil},
}

// sideways lists the only imports between packages of one layer.
var sideways = map[string]string{
	"internal/relay/app":    "internal/relay/fanout", // both speak its Handler vocabulary
	"internal/relay/origin": "internal/relay/fanout",
}

// owners names, for every third-party module, the trees that may import it. A
// module with one owner can be replaced by changing one package.
var owners = map[string][]string{
	"github.com/BurntSushi/toml":      {"internal/config"},
	"github.com/charmbracelet":        {"internal/tail"},
	"github.com/creack/pty":           {"cmd"},
	"github.com/fastly/go-fastly":     {"internal/provision/fastly"},
	"github.com/golang-jwt/jwt":       {"internal/token", "internal/grip"}, // two token formats, one library
	"github.com/coder/websocket":      {"internal/client"},
	"github.com/gobwas/ws":            {"internal/relay/fanout", "internal/relay/origin"}, // the relay is a server to clients and a client to origins
	"github.com/itchyny/gojq":         {"internal/ui"},
	"github.com/muesli/termenv":       {"internal/tail"},
	"github.com/rogpeppe/go-internal": {"cmd"},
	"github.com/spf13/cobra":          {"cmd"},
	"github.com/spf13/pflag":          {"cmd"},
	"github.com/zalando/go-keyring":   {"internal/config"},
	"go.etcd.io/bbolt":                {"internal/relay/store/boltstore"},
	"golang.org/x/crypto":             {"internal/provision/fastly"}, // sealed boxes, as secrets are sent in
	"golang.org/x/sys":                {"cmd", "internal/relay"},
	"golang.org/x/term":               {"cmd", "internal/ui"},
}

func TestPictureObeysItsLayers(t *testing.T) {
	for _, p := range picture {
		for _, to := range p.may {
			q := partOf(to)
			if q == nil {
				t.Errorf("%s may import %s, which is not in the picture", p.tree, to)
				continue
			}
			if q.layer >= p.layer && sideways[p.tree] != to {
				t.Errorf("%s may import %s, which is not below it", p.tree, to)
			}
		}
	}
}

func importsPointDown(t *testing.T, files []file) {
	for _, f := range files {
		from := partOf(f.path)
		if from == nil {
			t.Errorf("%s belongs to no part of the picture", f.path)
			continue
		}
		for _, imp := range f.imports {
			if to, ok := strings.CutPrefix(imp, module+"/"); ok {
				if err := checkEdge(f, from, to); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// checkEdge holds production code to the listed edges. Tests may reach further,
// to start a whole relay under a client for instance, but the words and the
// mechanisms below are tested on their own.
func checkEdge(f file, from *part, to string) error {
	target := partOf(to)
	switch {
	case target == nil:
		return fmt.Errorf("%s imports %s, which is not in the picture", f.path, to)
	case target == from || slices.Contains(from.may, target.tree):
		return nil
	case f.test() && from.layer > mechanisms && target.layer < commands:
		return nil
	}
	return fmt.Errorf("%s imports %s: %s may not import %s", f.path, to, from.tree, target.tree)
}

func thirdPartyModulesStayWithTheirOwner(t *testing.T, files []file) {
	for _, f := range files {
		for _, imp := range f.imports {
			if !strings.Contains(strings.Split(imp, "/")[0], ".") || within(imp, module) {
				continue
			}
			trees, known := ownersOf(imp)
			inOwner := func(tree string) bool { return within(f.path, tree) }
			switch {
			case !known:
				t.Errorf("%s imports %s, which has no owner", f.path, imp)
			case !slices.ContainsFunc(trees, inOwner):
				t.Errorf("%s imports %s, which belongs to %s", f.path, imp, strings.Join(trees, " and "))
			}
		}
	}
}

// partOf finds the innermost part that holds a package or file path.
func partOf(name string) *part {
	var best *part
	for i, p := range picture {
		if within(name, p.tree) && (best == nil || len(p.tree) > len(best.tree)) {
			best = &picture[i]
		}
	}
	return best
}

// ownersOf finds the trees that may import a package of another module.
func ownersOf(imp string) (trees []string, known bool) {
	for mod, trees := range owners {
		if within(imp, mod) {
			return trees, true
		}
	}
	return nil, false
}

func TestCheckEdge(t *testing.T) {
	cases := []struct {
		rule, from, to string
		ok             bool
	}{
		{"imports point down", "internal/relay/hub/hub.go", "internal/pubsub", true},
		{"never up", "internal/relay/hub/hub.go", "internal/relay/fanout", false},
		{"mechanisms never import one another", "internal/token/verify.go", "internal/sse", false},
		{"nor do their tests", "internal/token/verify_test.go", "internal/sse", false},
		{"words know nothing", "internal/pubsub/topic.go", "internal/token", false},
		{"app speaks fanout's vocabulary", "internal/relay/app/routes.go", "internal/relay/fanout", true},
		{"app and origin are strangers", "internal/relay/app/routes.go", "internal/relay/origin", false},
		{"applications never import one another", "internal/tail/view.go", "internal/provision", false},
		{"a part may import what lies inside it", "internal/relay/store/boltstore/open.go", "internal/relay/store", true},
		{"a service's test may start a relay", "internal/client/relay_test.go", "internal/relay", true},
		{"nobody imports the commands", "internal/client/relay_test.go", "cmd", false},
		{"what is not in the picture has no place", "internal/relay/hub/hub.go", "internal/novelty", false},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			err := checkEdge(file{path: c.from}, partOf(c.from), c.to)
			if (err == nil) != c.ok {
				t.Errorf("checkEdge(%s imports %s) = %v, want ok %v", c.from, c.to, err, c.ok)
			}
		})
	}
}
