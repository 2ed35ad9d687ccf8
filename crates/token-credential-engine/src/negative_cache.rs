//! Answers that are not worth asking for again yet.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// The most answers that a cache holds. Beyond it the one that ends first is dropped.
const CAPACITY: usize = 1024;

/// A bounded map of answers that last for a while (RFC 2308's term, for tokens that an endpoint
/// refused).
#[derive(Debug)]
pub struct NegativeCache<K, V>(Mutex<HashMap<K, Answer<V>>>);

#[derive(Debug)]
struct Answer<V> {
    value: V,
    since: SystemTime,
    until: SystemTime,
}

impl<K, V> Default for NegativeCache<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash, V: Clone> NegativeCache<K, V> {
    /// The most answers that a cache holds.
    pub const CAPACITY: usize = CAPACITY;

    /// Returns the first of these keys' answers that still lasts, and for how long. An answer from
    /// the future ends at once: a clock that was set back must not prolong it.
    pub fn get<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k K>,
        now: SystemTime,
    ) -> Option<(V, Duration)>
    where
        K: 'k,
    {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = keys
            .into_iter()
            .filter_map(|key| answers.get(key))
            .find(|answer| answer.since <= now && now < answer.until)?;
        let left = answer.until.duration_since(now).unwrap_or_default();
        Some((answer.value.clone(), left))
    }

    /// Puts an answer in for this long.
    pub fn put(&self, key: K, value: V, now: SystemTime, lasts: Duration) {
        let answer = Answer {
            value,
            since: now,
            until: now.checked_add(lasts).unwrap_or(now),
        };
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= CAPACITY && !answers.contains_key(&key) {
            answers.retain(|_, answer| now < answer.until);
            let ends_first = answers.iter().min_by_key(|(_, answer)| answer.until);
            let ends_first = ends_first.map(|(key, _)| key.clone());
            if let Some(key) = ends_first.filter(|_| answers.len() >= CAPACITY) {
                answers.remove(&key);
            }
        }
        answers.insert(key, answer);
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_answer_lasts_for_its_time() {
        let cache = NegativeCache::default();
        cache.put("key", 7, at(100), s(10));
        for (second, left) in [(100, Some(10)), (109, Some(1)), (110, None), (99, None)] {
            let expected = left.map(|left| (7, s(left)));
            assert_eq!(cache.get([&"key"], at(second)), expected, "{second}");
        }
        assert_eq!(cache.get([&"other"], at(100)), None);
    }

    #[test]
    fn the_first_of_several_keys_that_lasts_answers() {
        let cache = NegativeCache::default();
        cache.put("a", 1, at(0), s(1));
        cache.put("b", 2, at(0), s(9));
        assert_eq!(cache.get([&"a", &"b"], at(0)), Some((1, s(1))));
        assert_eq!(cache.get([&"a", &"b"], at(1)), Some((2, s(8))));
    }

    #[test]
    fn beyond_the_capacity_the_first_to_end_is_dropped() {
        let cache = NegativeCache::default();
        for n in 0..=CAPACITY {
            cache.put(n, n, at(0), s(10 + n as u64));
        }
        let is_known = |n: usize| cache.get([&n], at(0)).is_some();
        assert!(!is_known(0) && is_known(1) && is_known(CAPACITY));
    }

    #[test]
    fn a_time_beyond_all_clocks_ends_at_once() {
        let cache = NegativeCache::default();
        cache.put("key", 7, at(0), Duration::MAX);
        assert_eq!(cache.get([&"key"], at(0)), None);
    }
}
