//! Many small waits at the same time.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Does `each` to every item, so many at a time, on threads of its own that mostly wait. After an error
/// nothing new is begun.
///
/// # Errors
/// The first that was met.
pub fn at_once<T: Sync, E: Send>(
    items: &[T],
    threads_max: usize,
    each: impl Fn(&T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let failed: Mutex<Option<E>> = Mutex::new(None);
    let work = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = each(item) {
                next.store(items.len(), Ordering::Relaxed);
                failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads_max.min(items.len()) {
            scope.spawn(work);
        }
        work();
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_done_once_and_the_first_error_is_told() {
        let done: Vec<AtomicUsize> = (0..100).map(|_| AtomicUsize::new(0)).collect();
        at_once::<_, ()>(&done, 8, |it| {
            it.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })
        .unwrap();
        assert!(done.iter().all(|it| it.load(Ordering::Relaxed) == 1));
        assert_eq!(at_once(&[1, 2, 3], 2, |it| if *it == 2 { Err(*it) } else { Ok(()) }), Err(2));
        assert_eq!(at_once::<i32, ()>(&[], 2, |_| Err(())), Ok(()));
    }
}
