(* The greedy decomposition of Orseau, Hutter and Rivasplata (2020) and its threshold, in Coq's
   kernel.

   Statement and proof as in proofs/golden_ratio.py: (a) for every number of intervals, by
   induction; (b) the threshold; (d) above it the residual never falls below a gap.
   Checked by `make prove-coq`; accepted by Coq 8.16.1. *)

Require Import Reals Lra Lia.
Open Scope R_scope.

Definition greedy (r w : R) : R := if Rle_dec w r then r - w else r.

Fixpoint residual (target : R) (w : nat -> R) (k : nat) : R :=
  match k with
  | O => target
  | S i => greedy (residual target w i) (w i)
  end.

(* s i = alpha / gamma^i is the upper end of interval i, s (S i) its lower end. *)
Section Greedy.

Variable gamma : R.
Variable s : nat -> R.
Hypothesis gamma_above_one : 1 < gamma.
Hypothesis s_positive : forall i, 0 < s i.
Hypothesis s_geometric : forall i, s i = gamma * s (S i).

Lemma step : forall R_ r w s1,
  0 < s1 -> gamma <= R_ -> R_ * (gamma - 1) <= 1 ->
  s1 <= w <= gamma * s1 -> 0 <= r <= R_ * (gamma * s1) ->
  0 <= greedy r w <= R_ * s1.
Proof.
  intros R_ r w s1 Hs Hlow Hhigh Hw Hr. unfold greedy.
  destruct (Rle_dec w r) as [Htaken | Hleft].
  - split; [lra |].
    assert (R_ * (gamma - 1) * s1 <= 1 * s1) by (apply Rmult_le_compat_r; lra).
    lra.
  - split; [lra |].
    assert (gamma * s1 <= R_ * s1) by (apply Rmult_le_compat_r; lra).
    lra.
Qed.

Theorem decomposition : forall R_ w target,
  gamma <= R_ -> R_ * (gamma - 1) <= 1 ->
  (forall i, s (S i) <= w i <= s i) ->
  0 <= target <= R_ * s 0%nat ->
  forall k, 0 <= residual target w k <= R_ * s k.
Proof.
  intros R_ w target Hlow Hhigh Hw Htarget k.
  induction k as [| i IH]; simpl.
  - exact Htarget.
  - apply step; try assumption.
    + apply s_positive.
    + rewrite <- s_geometric. apply Hw.
    + rewrite <- s_geometric. exact IH.
Qed.

(* Above the threshold: once r >= gap + s i / (gamma - 1), lower endpoints keep it so. *)
Theorem stuck : forall w target gap,
  (forall i, w i = s (S i)) ->
  target >= gap + s 0%nat / (gamma - 1) ->
  forall k, residual target w k >= gap + s k / (gamma - 1).
Proof.
  intros w target gap Hw Htarget k.
  induction k as [| i IH]; simpl.
  - exact Htarget.
  - assert (Hg : 0 < gamma - 1) by lra.
    assert (Hs : 0 < s (S i)) by apply s_positive.
    assert (Hdiv : s i / (gamma - 1) = s (S i) / (gamma - 1) + s (S i)).
    { rewrite (s_geometric i). field. lra. }
    unfold greedy. rewrite Hw.
    destruct (Rle_dec (s (S i)) (residual target w i)); lra.
Qed.

End Greedy.

(* The range of R is not empty exactly up to the golden ratio. *)
Definition phi : R := (1 + sqrt 5) / 2.

Lemma phi_square : phi * phi = phi + 1.
Proof.
  unfold phi. assert (H : sqrt 5 * sqrt 5 = 5) by (apply sqrt_sqrt; lra). nra.
Qed.

Lemma phi_above_one : 1 < phi.
Proof.
  unfold phi. assert (H : sqrt 1 < sqrt 5) by (apply sqrt_lt_1; lra).
  rewrite sqrt_1 in H. lra.
Qed.

Theorem threshold : forall gamma, 1 < gamma ->
  ((exists R_, gamma <= R_ /\ R_ * (gamma - 1) <= 1) <-> gamma <= phi).
Proof.
  intros gamma Hg. pose proof phi_square as Hsq. pose proof phi_above_one as Hone.
  split.
  - intros [R_ [Hlow Hhigh]].
    destruct (Rle_dec gamma phi) as [H | H]; [exact H | exfalso].
    assert (gamma * (gamma - 1) <= R_ * (gamma - 1)) by (apply Rmult_le_compat_r; lra).
    assert (phi * (phi - 1) < gamma * (gamma - 1)) by nra.
    lra.
  - intros H. exists gamma. split; [lra |].
    assert (gamma * (gamma - 1) <= phi * (phi - 1)) by nra.
    lra.
Qed.

(* Above it a target under the first weight is already beyond the gap after one step. *)
Theorem escape : forall gamma s1, phi < gamma -> 0 < s1 ->
  exists target, 0 < target < gamma * s1 /\ s1 / (gamma - 1) < target /\
                 greedy target (gamma * s1) = target.
Proof.
  intros gamma s1 Hg Hs. pose proof phi_square as Hsq. pose proof phi_above_one as Hone.
  assert (Hpos : 0 < gamma - 1) by lra.
  assert (Hover : 1 < gamma * (gamma - 1)) by nra.
  assert (Hin : s1 / (gamma - 1) < gamma * s1).
  { apply Rmult_lt_reg_r with (gamma - 1); [exact Hpos |].
    replace (s1 / (gamma - 1) * (gamma - 1)) with s1 by (field; lra). nra. }
  assert (Hlow : 0 < s1 / (gamma - 1)) by (apply Rdiv_lt_0_compat; lra).
  exists ((s1 / (gamma - 1) + gamma * s1) / 2).
  split; [lra |]. split; [lra |].
  unfold greedy. destruct (Rle_dec (gamma * s1) ((s1 / (gamma - 1) + gamma * s1) / 2)); lra.
Qed.

Print Assumptions decomposition.
Print Assumptions stuck.
Print Assumptions threshold.
Print Assumptions escape.
