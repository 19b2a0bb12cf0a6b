//! Texts: each call is handed to a thread of its own and answers with a promise, so that JavaScript's thread only copies strings.
//! How many calls run side by side is the caller's choice (`ts/text/pipeline.ts`).
use ferrograd_text::{Clean, Counts, Form, Side, Split, Vocabulary, ordered};
use napi::bindgen_prelude::{Int32Array, Object, ToNapiValue};
use napi::{Env, Error, Result};
use napi_derive::napi;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// `Clean` and `Split` as JavaScript writes them; `ts/text/pipeline.ts` has checked them.
#[napi(object)]
pub struct TextSteps {
    pub html: bool,
    pub normalize: Option<String>,
    pub lower: bool,
    pub punctuation: bool,
    pub split: String,
}

#[napi(object)]
pub struct EncodedTexts {
    pub ids: Int32Array,
    pub lengths: Int32Array,
}

#[napi(object)]
pub struct CountedWord {
    pub word: String,
    pub count: f64,
}

/// One way of reading texts, with what it has counted and the vocabulary it looks up.
#[napi]
pub struct TextPipeline {
    clean: Clean,
    split: Split,
    counts: Arc<Mutex<Counts>>,
    vocabulary: Arc<Vocabulary>,
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

fn side(left: bool) -> Side {
    if left { Side::Left } else { Side::Right }
}

/// A promise of what `work` gives, which runs on a thread of its own.
fn promise<T, J>(env: &Env, work: impl FnOnce() -> T + Send + 'static, answer: impl FnOnce(T) -> J + Send + 'static) -> Result<Object<'_>>
where
    T: Send + 'static,
    J: ToNapiValue + 'static,
{
    let (deferred, promise) = env.create_deferred()?;
    std::thread::Builder::new().name("ferrograd-text".into()).spawn(move || match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => deferred.resolve(move |_| Ok(answer(done))),
        Err(_) => deferred.reject(Error::from_reason("the reading of texts panicked")),
    })?;
    Ok(promise)
}

#[napi]
impl TextPipeline {
    #[napi(constructor)]
    pub fn new(steps: TextSteps) -> Result<TextPipeline> {
        let form = match steps.normalize.as_deref() {
            None => None,
            Some("NFC") => Some(Form::Nfc),
            Some("NFD") => Some(Form::Nfd),
            Some("NFKC") => Some(Form::Nfkc),
            Some("NFKD") => Some(Form::Nfkd),
            Some(other) => return Err(Error::from_reason(format!("there is no Unicode form {other}"))),
        };
        let split = match &*steps.split {
            "whitespace" => Split::Whitespace,
            "character" => Split::Character,
            "none" => Split::Whole,
            other => return Err(Error::from_reason(format!("there is no split {other}"))),
        };
        let clean = Clean { html: steps.html, form, lower: steps.lower, punctuation: steps.punctuation };
        Ok(TextPipeline { clean, split, counts: Arc::default(), vocabulary: Arc::new(Vocabulary::new(Vec::new())) })
    }

    #[napi(catch_unwind)]
    pub fn clean<'env>(&self, env: &'env Env, texts: Vec<String>) -> Result<Object<'env>> {
        let clean = self.clean;
        let work = move || {
            let mut scratch = String::new();
            let one = |text: &String| {
                let mut out = String::new();
                clean.apply(text, &mut out, &mut scratch);
                out
            };
            texts.iter().map(one).collect::<Vec<String>>()
        };
        promise(env, work, |texts| texts)
    }

    #[napi(catch_unwind)]
    pub fn count<'env>(&self, env: &'env Env, texts: Vec<String>) -> Result<Object<'env>> {
        let (clean, split, all) = (self.clean, self.split, self.counts.clone());
        let work = move || {
            let mut counts = Counts::default();
            counts.add(&texts, &clean, split);
            lock(&all).merge(counts);
        };
        promise(env, work, |()| ())
    }

    /// The counted words in the order of their ids; the counts are forgotten.
    #[napi(catch_unwind)]
    pub fn take_words<'env>(&self, env: &'env Env, least: f64, most: f64) -> Result<Object<'env>> {
        let counts = std::mem::take(&mut *lock(&self.counts));
        let row = |(word, count): (String, u64)| CountedWord { word, count: count as f64 };
        promise(env, move || ordered(&counts, least as u64, most as usize), move |words| words.into_iter().map(row).collect::<Vec<_>>())
    }

    #[napi(catch_unwind)]
    pub fn set_words(&mut self, words: Vec<String>) {
        self.vocabulary = Arc::new(Vocabulary::new(words));
    }

    /// Ids one text after the other where `length` is undefined, else in rows of that many.
    #[napi(catch_unwind)]
    pub fn encode<'env>(
        &self,
        env: &'env Env,
        texts: Vec<String>,
        length: Option<u32>,
        pad_left: bool,
        cut_left: bool,
    ) -> Result<Object<'env>> {
        let (clean, split, vocabulary) = (self.clean, self.split, self.vocabulary.clone());
        let work = move || match length {
            None => vocabulary.encode(&texts, &clean, split),
            Some(length) => vocabulary.encode_rows(&texts, &clean, split, length as usize, side(pad_left), side(cut_left)),
        };
        promise(env, work, |(ids, lengths)| EncodedTexts { ids: ids.into(), lengths: lengths.into() })
    }
}
