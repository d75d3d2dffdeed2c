package provision

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
)

// draft is the version that a run edits, and what is in it.
type draft struct {
	number   int
	domains  []fastly.Domain
	backends []fastly.Backend
	links    []fastly.Link
	program  fastly.Package
}

// hash tells a plan from another, as far as their drafts differ.
func (r *run) hash() string {
	files := r.is.Package.FilesHash
	if r.spec.Package != nil {
		files = r.spec.Package.FilesHash
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s|%s|%t", r.plan.Domain, files, r.spec.Messages))
	return hex.EncodeToString(sum[:4])
}

// edit makes a step's change in the draft. A draft that turns out to be locked is
// left, once, and the changes so far are made in another.
func (r *run) edit(ctx context.Context, step Step) (string, error) {
	detail, err := r.editOnce(ctx, step)
	if !fastly.Locked(err) || r.recloned {
		return detail, err
	}
	r.recloned, r.draft = true, nil
	for _, earlier := range Steps() {
		if earlier == step {
			break
		}
		if r.plan.Has(earlier) && versioned(earlier) {
			if _, err := r.editOnce(ctx, earlier); err != nil {
				return "", err
			}
		}
	}
	return r.editOnce(ctx, step)
}

// versioned reports whether a step changes a version.
func versioned(step Step) bool {
	link, _ := storeOf(step)
	return link != "" || slices.Contains([]Step{StepPackage, StepDomain, StepBackendSelf, StepBackendAPI}, step)
}

func (r *run) editOnce(ctx context.Context, step Step) (string, error) {
	if err := r.open(ctx); err != nil {
		return "", err
	}
	switch step {
	case StepPackage:
		return r.upload(ctx)
	case StepDomain:
		return r.name(ctx)
	case StepBackendSelf:
		return r.self, r.backend(ctx, SelfBackend(r.self))
	case StepBackendAPI:
		return apiHost, r.backend(ctx, APIBackend())
	}
	link, kind := storeOf(step)
	return "", r.link(ctx, link, kind, r.is.Stores[link].ID)
}

// open finds or makes the version to edit, marks it and reads it.
func (r *run) open(ctx context.Context) error {
	if r.draft != nil {
		return nil
	}
	s, err := r.env.API.Service(ctx, r.service.ID)
	if err != nil {
		return err
	}
	base := s.Latest()
	if s.Active > 0 {
		base, _ = s.Version(s.Active)
	}
	number, err := r.editable(ctx, s, base)
	if err != nil {
		return err
	}
	if v, _ := s.Version(number); v.Comment != marker(r.hash(), base.Number, number) {
		if err := r.did(r.env.API.SetComment(ctx, s.ID, number, marker(r.hash(), base.Number, number))); err != nil {
			return err
		}
	}
	if !slices.Contains(r.led.Versions, number) {
		r.led.Versions = append(r.led.Versions, number)
	}
	r.led.Intent = nil
	if err := r.led.save(); err != nil {
		return err
	}
	r.draft = &draft{number: number}
	r.report.Version = number
	return r.read(ctx)
}

// editable is the version to edit: the base if it is still open, the draft of an
// earlier run for the same plan, or a clone.
func (r *run) editable(ctx context.Context, s fastly.Service, base fastly.Version) (int, error) {
	if !base.Locked && !base.Active {
		return base.Number, nil
	}
	for _, v := range slices.Backward(s.Versions) {
		if v.Number > base.Number && !v.Locked && v.Comment == marker(r.hash(), base.Number, v.Number) {
			return v.Number, nil
		}
	}
	return r.clone(ctx, s, base)
}

// clone copies the base. Each call makes a version, so a lost answer is looked
// for: the one version that is newer than all before and has the base's comment.
func (r *run) clone(ctx context.Context, s fastly.Service, base fastly.Version) (int, error) {
	name := fmt.Sprintf("clone of version %d", base.Number)
	if r.led.intends(ObjectVersion, name) {
		before, _ := strconv.Atoi(strings.Join(r.led.Intent.Seen, ""))
		if n := lostClone(s, base, before); n > 0 {
			return n, nil
		}
	}
	newest := s.Latest().Number
	if err := r.led.begin(Intent{Kind: ObjectVersion, Name: name, Seen: []string{itoa(newest)}}); err != nil {
		return 0, err
	}
	for try := 0; ; try++ {
		v, err := r.env.API.Clone(ctx, s.ID, base.Number)
		if r.did(err) == nil {
			return v.Number, nil
		}
		if !fastly.Uncertain(err) || try > 0 {
			return 0, err
		}
		now, err := r.env.API.Service(ctx, s.ID)
		if err != nil {
			return 0, err
		}
		if n := lostClone(now, base, newest); n > 0 {
			return n, nil
		}
	}
}

// lostClone finds the version that a clone without an answer has made; 0 if there
// is none, or if one of several may be somebody else's.
func lostClone(s fastly.Service, base fastly.Version, newest int) int {
	found := 0
	for _, v := range s.Versions {
		if v.Number <= newest || v.Locked || v.Comment != base.Comment {
			continue
		}
		if found > 0 {
			return 0
		}
		found = v.Number
	}
	return found
}

// read reads what is in the draft.
func (r *run) read(ctx context.Context) error {
	id, d, api := r.service.ID, r.draft, r.env.API
	return gather(ctx,
		into(&d.domains, func(ctx context.Context) ([]fastly.Domain, error) { return api.Domains(ctx, id, d.number) }),
		into(&d.backends, func(ctx context.Context) ([]fastly.Backend, error) { return api.Backends(ctx, id, d.number) }),
		into(&d.links, func(ctx context.Context) ([]fastly.Link, error) { return api.Links(ctx, id, d.number) }),
		into(&d.program, func(ctx context.Context) (fastly.Package, error) { return api.Package(ctx, id, d.number) }))
}

// put makes something in the draft. If it turns out to be there, or no answer
// came, the draft is read again, and made is asked whether that is what was to be
// made; if not it is tried once more.
func (r *run) put(ctx context.Context, made func() bool, write func(context.Context) error) error {
	err := r.did(write(ctx))
	if err == nil {
		return r.read(ctx)
	}
	if !fastly.Uncertain(err) && !fastly.Exists(err) {
		return err
	}
	if failed := r.read(ctx); failed != nil {
		return failed
	}
	if made() {
		return nil
	}
	if fastly.Exists(err) {
		return err
	}
	if err := r.did(write(ctx)); err != nil {
		return err
	}
	return r.read(ctx)
}

func (r *run) upload(ctx context.Context) (string, error) {
	a := r.spec.Package
	if r.draft.program.FilesHash != a.FilesHash {
		got, err := r.env.API.Upload(ctx, r.service.ID, r.draft.number, a.Content)
		if r.did(err) != nil {
			return "", err
		}
		if got.FilesHash != a.FilesHash {
			return "", fmt.Errorf("the platform stored another package: %s, not %s", hashed(got.FilesHash), hashed(a.FilesHash))
		}
	}
	r.led.FilesHash = a.FilesHash
	return a.Name, r.led.save()
}

// nameTries is how many made-up names are tried.
const nameTries = 5

// name adds the names by which the service is known.
func (r *run) name(ctx context.Context) (string, error) {
	madeUp := r.self != r.spec.Domain && !r.is.hasName(r.self)
	for try := 1; ; try++ {
		if madeUp { // noted first: nobody could tell later whose name it is
			r.led.Domain, r.led.Generated = r.self, true
			if err := r.led.save(); err != nil {
				return "", err
			}
		}
		err := r.oneName(ctx, r.self)
		if fastly.Taken(err) && madeUp && try < nameTries {
			r.self = "pubsub-" + randomText(12) + edgeSuffix
			continue
		}
		if err != nil {
			return "", takenError(r.self, err)
		}
		break
	}
	r.led.Domain = r.self
	r.place()
	if err := r.led.save(); err != nil {
		return "", err
	}
	if d := r.spec.Domain; d != "" && d != r.self {
		return r.self + ", " + d, takenError(d, r.oneName(ctx, d))
	}
	return r.self, nil
}

func takenError(name string, err error) error {
	if fastly.Taken(err) {
		return &DomainTakenError{name, err}
	}
	return err
}

// oneName adds a name to the draft, or, where the account makes no names that
// way, to the service.
func (r *run) oneName(ctx context.Context, name string) error {
	if hasDomain(r.draft.domains, name) || r.is.hasName(name) && !hasDomain(r.is.Domains, name) {
		return nil
	}
	err := r.put(ctx, func() bool { return hasDomain(r.draft.domains, name) }, func(ctx context.Context) error {
		return r.env.API.CreateDomain(ctx, r.service.ID, r.draft.number, name, managed)
	})
	if !fastly.ClassicRefused(err) {
		return err
	}
	_, err = r.make(ctx, ObjectDomain, name, func(ctx context.Context) (string, error) {
		all, err := r.env.API.CustomDomains(ctx)
		for _, d := range all {
			if d.Name == name && d.ServiceID == r.service.ID {
				return d.ID, nil
			}
		}
		return "", err
	}, func(ctx context.Context) (string, error) {
		d, err := r.env.API.CreateCustomDomain(ctx, r.service.ID, name)
		return d.ID, err
	})
	return err
}

// backend makes the backend, or makes it as it should be.
func (r *run) backend(ctx context.Context, want fastly.Backend) error {
	good := func() bool {
		is, ok := backendNamed(r.draft.backends, want.Name)
		return ok && len(BackendDiff(is, want)) == 0
	}
	if _, there := backendNamed(r.draft.backends, want.Name); !there {
		err := r.put(ctx, good, func(ctx context.Context) error {
			return r.env.API.CreateBackend(ctx, r.service.ID, r.draft.number, want)
		})
		if err != nil && !fastly.Exists(err) {
			return err
		}
	}
	if good() {
		return nil
	}
	return r.put(ctx, good, func(ctx context.Context) error {
		return r.env.API.UpdateBackend(ctx, r.service.ID, r.draft.number, want)
	})
}

// link makes a store known under a name, instead of another that was.
func (r *run) link(ctx context.Context, name string, kind fastly.Kind, store string) error {
	good := func() bool {
		l, ok := linkNamed(r.draft.links, name)
		return ok && l.StoreID == store && l.Kind == kind
	}
	if good() {
		return nil
	}
	if l, ok := linkNamed(r.draft.links, name); ok {
		if err := r.did(r.env.API.DeleteLink(ctx, r.service.ID, r.draft.number, l.ID)); err != nil && !fastly.NotFound(err) {
			return err
		}
	}
	return r.put(ctx, good, func(ctx context.Context) error {
		_, err := r.env.API.CreateLink(ctx, r.service.ID, r.draft.number, name, store)
		return err
	})
}

// isMarked reports whether a version is one of setup's: a clone of one has inherited
// its comment, but not its number.
func isMarked(v fastly.Version) bool {
	return strings.HasPrefix(v.Comment, markerStart) && strings.HasSuffix(v.Comment, fmt.Sprintf(" v=%d", v.Number))
}
