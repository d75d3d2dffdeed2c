package provision

import "slices"

// SignWith notes that the context signs with another key from now on, so that setup
// does not make one more when the first is deleted.
func (l *Ledger) SignWith(id string) error {
	l.KeyID = id
	if !slices.Contains(l.Keys, id) {
		l.Keys = append(l.Keys, id)
	}
	return l.save()
}
