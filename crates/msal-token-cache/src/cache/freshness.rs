/// How closely a reader looks at the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Freshness {
    /// Once per [tick](crate::Persistence::tick) of the store, a few milliseconds. A change that
    /// another program makes is seen in the next tick; a change through the same cache at once.
    Recent,
    /// Now. For a caller that redeems, waits for others who do, or is about to give up.
    Latest,
}
